import { describe, expect, it } from 'vitest'
import { maskUrl, parseRedisUrl } from './url.ts'

const plain = {
  tls: false,
  host: 'localhost',
  port: 6379,
  serverName: 'localhost',
  path: undefined,
  username: undefined,
  password: undefined,
  db: 0,
  family: undefined,
}
const internal = { host: 'db.internal', serverName: 'db.internal' }
const address6 = { host: '2001:db8::1', serverName: '' }
const socket = { serverName: '', path: '/run/redis.sock' }

describe('parseRedisUrl', () => {
  it.each([
    ['redis://localhost', {}],
    ['redis://', {}],
    ['valkey://localhost:6380/', { port: 6380 }],
    ['REDIS://localhost:/3', { db: 3 }],
    ['rediss://db.internal:6380/15', { tls: true, ...internal, port: 6380, db: 15 }],
    ['valkeys://db.internal', { tls: true, ...internal }],
    ['redis://:secret@db.internal', { ...internal, password: 'secret' }],
    ['redis://worker@db.internal', { ...internal, username: 'worker' }],
    ['redis://worker:a:b@db.internal', { ...internal, username: 'worker', password: 'a:b' }],
    ['redis://w%40x:%2F%3F%23%40%3A%25@localhost', { username: 'w@x', password: '/?#@:%' }],
    ['redis://:p%C3%A4ss@localhost', { password: 'päss' }],
    ['redis://[2001:db8::1]', address6],
    ['redis://:x@[2001:db8::1]:7000/2', { ...address6, password: 'x', port: 7000, db: 2 }],
    ['redis://10.0.0.1', { host: '10.0.0.1', serverName: '' }],
    ['redis://localhost?family=6&db=2', { family: 6, db: 2 }],
    ['redis://localhost/4?db=2', { db: 4 }],
    ['unix:///run/redis.sock', socket],
    ['unix://:x@/run/redis.sock?db=2', { ...socket, password: 'x', db: 2 }],
    ['redis+unix:///run/a%20b.sock', { ...socket, path: '/run/a b.sock' }],
  ])('reads %s', (text, expected) => {
    expect(parseRedisUrl(text)).toEqual({ ...plain, ...expected })
  })

  it.each([
    ['redis://tops3cret:x@localhost:port', /cannot be read|no valid port/],
    ['redis://:tops3cret@localhost:0', /no valid port/],
    ['redis://:tops3cret@localhost:65536', /no valid port/],
    ['redis://:tops3cret@localhost/main', /no valid database/],
    ['redis://:tops3cret@localhost/-1', /no valid database/],
    ['redis://:tops3cret@localhost/1/2', /no valid database/],
    ['redis://:tops3cret@localhost?db=x', /no valid database/],
    ['redis://:tops3cret@localhost?name=tops3cret', /parameter that is not known/],
    ['redis://:tops3cret#1@localhost', /Percent-encode/],
    ['redis://user:12#tops3cret@localhost', /Percent-encode/],
    ['redis://user:12/tops3cret@localhost', /no valid database/],
    ['redis://user:12?tops3cret@localhost', /parameter that is not known/],
    ['redis://:tops3cret@x@localhost', /Percent-encode/],
    ['redis://:tops3cret%zz@localhost', /two hex digits/],
    ['redis://:tops3cret@[::zz]', /no valid IPv6/],
    ['redis://:tops3cret@[::1', /no valid IPv6/],
    ['redis:tops3cret', /begins with one of redis, valkey, rediss, valkeys, unix/],
    ['http://:tops3cret@localhost', /begins with one of/],
    ['tops3cret', /begins with one of/],
    ['', /begins with one of/],
    ['unix://tops3cret', /absolute path/],
    ['unix://', /absolute path/],
  ])('refuses %s and shows none of its secrets', (text, message) => {
    expect(() => parseRedisUrl(text)).toThrow(TypeError)
    expect(() => parseRedisUrl(text)).toThrow(message)
    try {
      parseRedisUrl(text)
    } catch (error) {
      expect((error as Error).cause).toBeUndefined()
      expect(`${(error as Error).stack}`).not.toContain('tops3cret')
    }
    expect(maskUrl(text)).not.toContain('tops3cret')
  })

  it('refuses what is no string', () => {
    expect(() => parseRedisUrl(7 as unknown as string)).toThrow(/is a string, not number/)
  })
})

describe('maskUrl', () => {
  it.each([
    ['redis://localhost', 'redis://localhost:6379'],
    ['rediss://worker:tops3cret@db.internal:6380/3', 'rediss://***@db.internal:6380/3'],
    ['valkey://tops3cret@[::1]', 'valkey://***@[::1]:6379'],
    ['unix://:tops3cret@/run/redis.sock?db=2', 'unix://***@/run/redis.sock?db=2'],
    ['unix:///run/redis.sock', 'unix:///run/redis.sock'],
    ['redis://:tops/3cret@localhost', 'redis://…'],
    ['tops3cret', 'unknown://…'],
  ])('shows %s as %s', (text, masked) => {
    expect(maskUrl(text)).toBe(masked)
  })
})
