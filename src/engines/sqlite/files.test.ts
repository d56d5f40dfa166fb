import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { defaultPath, networkType, readPath } from './files.ts'

describe('the default path', () => {
  it.each([
    ['linux', {}, `${homedir()}/.local/state/holdfast/locks.db`],
    ['linux', { XDG_STATE_HOME: '/var/state' }, '/var/state/holdfast/locks.db'],
    ['linux', { XDG_STATE_HOME: 'relative' }, `${homedir()}/.local/state/holdfast/locks.db`],
    ['darwin', {}, `${homedir()}/Library/Application Support/holdfast/locks.db`],
    ['win32', { LOCALAPPDATA: '/c/local' }, '/c/local/holdfast/locks.db'],
    ['win32', {}, `${homedir()}/AppData/Local/holdfast/locks.db`],
  ])('is a file in the state directory of %s', (platform, env, path) => {
    expect(defaultPath(platform, env)).toBe(path)
  })
})

describe('a home directory', () => {
  const none = () => {
    throw new Error('no such user')
  }

  it('is asked from the system where HOME is none', () => {
    const path = '/home/ada/.local/state/holdfast/locks.db'
    for (const home of ['', '.', 'ada']) {
      expect(defaultPath('linux', {}, [() => home, () => '/home/ada'])).toBe(path)
    }
    expect(defaultPath('linux', {}, [none, () => '/home/ada'])).toBe(path)
  })

  it('is asked for where nobody knows one', () => {
    const problem = /this user has no home directory; give the path of a file.*or set HOME/
    for (const homes of [[none, none], [() => '']]) {
      expect(() => defaultPath('linux', {}, homes)).toThrow(problem)
    }
    expect(defaultPath('linux', { XDG_STATE_HOME: '/var/state' }, [none])).toMatch(/^\/var\/state/)
  })
})

describe('a path', () => {
  it.each([
    ['', defaultPath()],
    ['sqlite:', defaultPath()],
    ['sqlite://', defaultPath()],
    ['locks.db', resolve('locks.db')],
    ['sqlite:./locks.db', resolve('locks.db')],
    ['sqlite:/var/locks 100%.db', '/var/locks 100%.db'],
    ['SQLITE:///var/locks.db', '/var/locks.db'],
  ])('%j means %s', (given, path) => {
    expect(readPath(given)).toBe(path)
  })

  it.each([
    [7, TypeError, 'path must be a string, got 7.'],
    [undefined, TypeError, 'path must be a string, got undefined.'],
    ['a\0b', RangeError, 'path must not hold NUL'],
    [':memory:', RangeError, 'use memory:'],
    ['sqlite::memory:', RangeError, 'use memory:'],
    ['file:locks.db', RangeError, 'path must be a path'],
    ['sqlite://host/locks.db', RangeError, 'path must be a path'],
  ])('is not %j', (given, kind, message) => {
    expect(() => readPath(given)).toThrow(kind)
    expect(() => readPath(given)).toThrow(message)
  })
})

const MOUNTS = [
  '22 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
  '23 22 0:20 / /proc rw - proc proc rw',
  '40 22 0:50 / /home rw,nosuid shared:3 - nfs4 server:/home rw',
  '41 40 0:51 / /home/local rw - xfs /dev/vdb rw',
  '42 22 0:52 / /mnt/my\\040share rw - cifs //server/share rw',
  '43 22 0:53 / /mnt/ssh rw - fuse.sshfs me@there: rw',
  '44 22 0:54 / /mnt/pool rw - fuse.mergerfs pool rw',
].join('\n')

describe.runIf(process.platform === 'linux')('a network file system', () => {
  it.each([
    ['/home/me/state', 'nfs4'],
    ['/home', 'nfs4'],
    ['/home/local/me', undefined],
    ['/homes', undefined],
    ['/mnt/my share/locks', 'cifs'],
    ['/mnt/ssh', 'fuse.sshfs'],
    ['/mnt/pool', undefined],
    ['/var/lib', undefined],
  ])('is found under %s: %s', (folder, type) => {
    expect(networkType(folder, MOUNTS, 0xef53)).toBe(type)
  })

  it.each([
    [0x6969, 'nfs'],
    [0xff534d42, 'cifs'],
    [0x01021997, '9p'],
    [0x01021994, undefined],
  ])('is known by its number %i', (magic, type) => {
    expect(networkType('/anywhere', '', magic)).toBe(type)
  })

  it('is not where the tests run', () => {
    expect(networkType('/tmp')).toBeUndefined()
  })
})
