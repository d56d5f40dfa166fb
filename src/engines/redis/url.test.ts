import { describe, expect, it } from 'vitest'
import { maskUrl, parseRedisUrl } from './url.ts'

const plain = {
  topology: 'single',
  tls: false,
  addresses: [{ host: 'localhost', port: 6379 }],
  primaryName: undefined,
  serverName: 'localhost',
  path: undefined,
  username: undefined,
  password: undefined,
  db: 0,
  family: undefined,
  replicas: undefined,
  replicasTimeoutMs: undefined,
  ca: undefined,
  cert: undefined,
  key: undefined,
  sentinelUsername: undefined,
  sentinelPassword: undefined,
}
const at = (host: string, port = 6379) => ({ addresses: [{ host, port }] })
const internal = { ...at('db.internal'), serverName: 'db.internal' }
const address6 = { ...at('2001:db8::1'), serverName: '' }
const sentinel = { topology: 'sentinel', serverName: '' }
const cluster = { topology: 'cluster', serverName: '' }
const three = (port: number) => [
  { host: 'a', port },
  { host: 'b', port: 7001 },
  { host: '::1', port },
]
const socket = { serverName: '', path: '/run/redis.sock' }

describe('parseRedisUrl', () => {
  it.each([
    ['redis://localhost', {}],
    ['redis://', {}],
    ['valkey://localhost:6380/', at('localhost', 6380)],
    ['REDIS://localhost:/3', { db: 3 }],
    [
      'rediss://db.internal:6380/15',
      { tls: true, ...internal, ...at('db.internal', 6380), db: 15 },
    ],
    ['valkeys://db.internal', { tls: true, ...internal }],
    ['redis://:secret@db.internal', { ...internal, password: 'secret' }],
    ['redis://worker@db.internal', { ...internal, username: 'worker' }],
    ['redis://worker:a:b@db.internal', { ...internal, username: 'worker', password: 'a:b' }],
    ['redis://w%40x:%2F%3F%23%40%3A%25@localhost', { username: 'w@x', password: '/?#@:%' }],
    ['redis://:p%C3%A4ss@localhost', { password: 'päss' }],
    ['redis://[2001:db8::1]', address6],
    [
      'redis://:x@[2001:db8::1]:7000/2',
      { ...address6, ...at('2001:db8::1', 7000), password: 'x', db: 2 },
    ],
    ['redis://10.0.0.1', { ...at('10.0.0.1'), serverName: '' }],
    ['redis://localhost?family=6&db=2', { family: 6, db: 2 }],
    ['redis://localhost/4?db=2', { db: 4 }],
    ['redis://localhost?&db=2&', { db: 2 }],
    ['redis://localhost?replicas=2&replicasTimeoutMs=50', { replicas: 2, replicasTimeoutMs: 50 }],
    [
      'rediss://10.0.0.1?ca=/etc/ca.pem&cert=c%20d+e%3D=.pem&key=k.pem&serverName=db',
      {
        ...at('10.0.0.1'),
        tls: true,
        ca: '/etc/ca.pem',
        cert: 'c d+e==.pem',
        key: 'k.pem',
        serverName: 'db',
      },
    ],
    [
      'redis+sentinel://a,b:7001,[::1]/main',
      { ...sentinel, addresses: three(26379), primaryName: 'main' },
    ],
    [
      'valkeys+sentinel://u:p@a,b:7001,[::1]/my%2Fmain/3?sentinelUsername=s&sentinelPassword=q%26',
      {
        ...sentinel,
        tls: true,
        addresses: three(26379),
        primaryName: 'my/main',
        db: 3,
        username: 'u',
        password: 'p',
        sentinelUsername: 's',
        sentinelPassword: 'q&',
      },
    ],
    ['rediss+cluster://a,b:7001,[::1]', { ...cluster, tls: true, addresses: three(6379) }],
    ['redis+cluster://:p@a/0', { ...cluster, ...at('a'), password: 'p' }],
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
    ['redis://:tops3cret@localhost?db=x', /wrong db/],
    ['redis://:tops3cret@localhost?family=5', /wrong family/],
    ['redis://localhost?replicas=tops3cret', /wrong replicas/],
    ['redis://localhost?toString=tops3cret', /parameter that is not known/],
    ['rediss://:tops3cret@localhost?ca=', /wrong ca/],
    ['redis://:tops3cret@localhost?ca=/tops3cret.pem', /has ca, which only rediss:\/\//],
    ['redis+cluster://localhost?serverName=tops3cret', /has serverName, which only rediss/],
    ['unix:///tops3cret?key=/tops3cret.pem', /has key, which only rediss/],
    ['redis://localhost?db=%tops3cret', /two hex digits/],
    ['redis://:tops3cret@a,b', /several hosts/],
    ['redis+sentinel://:tops3cret@a,b', /name of the primary/],
    ['redis+sentinel://:tops3cret@a,b//1', /name of the primary/],
    ['redis+sentinel://:tops3cret@a/main/x', /no valid database/],
    ['redis+sentinel://a,tops3cret:x/main', /no valid port/],
    ['redis+cluster://:tops3cret@a/1', /a Cluster has one/],
    ['redis+cluster://:tops3cret@a?db=1', /a Cluster has one/],
    ['redis://:tops3cret@localhost?name=tops3cret', /parameter that is not known/],
    ['redis://:tops3cret#1@localhost', /Percent-encode/],
    ['redis://user:12#tops3cret@localhost', /Percent-encode/],
    ['redis://user:12/tops3cret@localhost', /no valid database/],
    ['redis://user:12?tops3cret@localhost', /parameter that is not known/],
    ['redis://:tops3cret@x@localhost', /Percent-encode/],
    ['redis://:tops3cret%zz@localhost', /two hex digits/],
    ['redis://:tops3cret@[::zz]', /no valid IPv6/],
    ['redis://:tops3cret@[::1', /no valid IPv6/],
    ['redis:tops3cret', /begins with one of redis, redis\+sentinel, .*, unix/],
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
    ['redis+sentinel://u:tops3cret@a,[::1]/m/1', 'redis+sentinel://***@a:26379,[::1]:26379/m/1'],
    ['redis+cluster://a,b:7001', 'redis+cluster://a:6379,b:7001'],
    ['redis://:tops/3cret@localhost', 'redis://…'],
    ['tops3cret', 'unknown://…'],
  ])('shows %s as %s', (text, masked) => {
    expect(maskUrl(text)).toBe(masked)
  })
})
