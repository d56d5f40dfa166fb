import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { connect } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { loadBinding } from '../../src/engines/sqlite/binding.ts'
import { scratch } from './support.ts'

const isWindows = process.platform === 'win32'
const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

async function refusal(path: string): Promise<string> {
  try {
    const holdfast = await connect(`sqlite:${path}`, { requestTimeoutMs: 300 })
    await holdfast.close()
  } catch (error) {
    expect(error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED', engine: 'sqlite' })
    return (error as Error).message
  }
  throw new Error(`${path} was taken for a file of locks`)
}

describe.skipIf(isWindows)('a path that leads to something else than a file of locks', () => {
  it('is told for what it is, with what to do', async () => {
    using files = scratch()
    const at = (name: string): string => join(files.folder, name)
    mkdirSync(at('folder'))
    spawnSync('mkfifo', [at('pipe')])
    symlinkSync(at('nowhere'), at('dangling'))
    symlinkSync(at('loop'), at('loop'))
    writeFileSync(at('short'), 'text')
    writeFileSync(at('long'), 'no database at all, but long enough to be read '.repeat(90))
    mkdirSync(at('logs.db-wal'))
    writeFileSync(at('rung.db-bells'), '')
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(at('socket'), resolve))
    try {
      expect(await refusal(at('folder'))).toMatch(/is a folder; .*folder\/locks\.db/)
      expect(await refusal(at('pipe'))).toMatch(/is a named pipe; locks need a file of their own/)
      expect(await refusal(at('socket'))).toMatch(/is a socket; locks need a file of their own/)
      expect(await refusal('/dev/null')).toMatch(/is a device; locks need a file of their own/)
      expect(await refusal(at('dangling'))).toMatch(/is a link to ".*nowhere", where nothing is/)
      expect(await refusal(at('loop'))).toMatch(/cannot be opened.*ELOOP/)
      expect(await refusal(at('short'))).toMatch(/no SQLite database; give the path of a new file/)
      expect(await refusal(at('long'))).toMatch(/no SQLite database; give the path of a new file/)
      expect(await refusal(join(at('long'), 'locks.db'))).toMatch(/long" is not a folder/)
      expect(await refusal(join(at('long'), 'deep', 'locks.db'))).toMatch(/is not a folder or/)
      expect(await refusal(at('logs.db'))).toMatch(/logs\.db-wal" is a folder/)
      expect(await refusal(at('rung.db'))).toMatch(/rung\.db-bells" is in the way; remove it/)
      expect(await refusal(at('n'.repeat(300)))).toMatch(/cannot be opened.*ENAMETOOLONG/)
    } finally {
      server.close()
    }
    expect(readFileSync(at('short'), 'utf8')).toBe('text')
  })

  it('leads through links to the file that all share', async () => {
    using files = scratch()
    const link = join(files.folder, 'link')
    await using one = await connect(`sqlite:${files.path}`)
    symlinkSync(files.path, link)
    await using other = await connect(`sqlite:${link}`)
    await one.mutex('a').acquire()
    expect(await other.mutex('a').tryAcquire()).toBeNull()
  })

  it('is refused under a second name, which would have a log of its own', async () => {
    using files = scratch()
    const other = join(files.folder, 'other.db')
    await (await connect(`sqlite:${files.path}`)).close()
    linkSync(files.path, other)
    expect(await refusal(files.path)).toMatch(/has other names \(hard links\), .* remove them/)
    expect(await refusal(other)).toMatch(/has other names/)
    rmSync(other)
    // What a process leaves that is killed while it makes the file.
    linkSync(files.path, `${files.path}-0123456789ab`)
    await using holdfast = await connect(`sqlite:${files.path}`)
    expect(await holdfast.mutex('a').tryAcquire()).not.toBeNull()
    expect(readdirSync(files.folder)).not.toContain('locks.db-0123456789ab')
  })

  it('is refused where the file alone is mounted, as into a container', async () => {
    using files = scratch()
    const mounted = join(files.folder, 'mounted by itself.db')
    await (await connect(`sqlite:${files.path}`)).close()
    writeFileSync(mounted, '')
    if (spawnSync('mount', ['--bind', files.path, mounted]).status !== 0) {
      console.log('NOT TESTED: this user may not mount a file')
      return
    }
    try {
      expect(await refusal(mounted)).toMatch(/is mounted by itself, .* mount its folder instead/)
    } finally {
      spawnSync('umount', ['-l', mounted])
    }
  })

  it('may be an empty file', async () => {
    using files = scratch()
    writeFileSync(files.path, '')
    await using holdfast = await connect(`sqlite:${files.path}`)
    expect(await holdfast.mutex('a').tryAcquire()).not.toBeNull()
  })

  it('may be a file that was emptied after all its processes were killed', async () => {
    using files = scratch()
    const connection = loadBinding()(files.path)
    connection.exec('PRAGMA journal_mode = WAL; CREATE TABLE a (b); INSERT INTO a VALUES (1)')
    writeFileSync(`${files.path}.wal`, readFileSync(`${files.path}-wal`))
    writeFileSync(`${files.path}.shm`, readFileSync(`${files.path}-shm`))
    connection.close()
    for (const ending of ['wal', 'shm']) {
      writeFileSync(`${files.path}-${ending}`, readFileSync(`${files.path}.${ending}`))
    }
    truncateSync(files.path)
    await using holdfast = await connect(`sqlite:${files.path}`)
    expect(await holdfast.mutex('a').tryAcquire()).not.toBeNull()
  })
})

describe.skipIf(isWindows)('the rights of a file that is there already', () => {
  interface Seen {
    readonly findings: readonly string[]
    readonly modes: readonly string[]
  }

  /** What comes of a file of locks with these rights when it is opened again. */
  async function seen(path: string, mode: number, owner?: number): Promise<Seen> {
    await (await connect(`sqlite:${path}`)).close()
    if (owner !== undefined) chownSync(path, owner, owner)
    chmodSync(path, mode)
    await using holdfast = await connect(`sqlite:${path}`)
    await holdfast.mutex('a').acquire()
    const found = (await holdfast.diagnose()).filter(({ code }) => code.startsWith('file-'))
    return {
      findings: found.map(({ severity, code }) => `${severity} ${code}`),
      modes: ['', '-wal', '-shm'].map((ending) => modeOf(path + ending)),
    }
  }

  it.each(['644', '640', '604'])('are taken from who may only read: %s', async (mode) => {
    using files = scratch()
    const modes = ['600', '600', '600']
    expect(await seen(files.path, Number.parseInt(mode, 8))).toEqual({ findings: [], modes })
  })

  it('are left to a group that shares the locks, and told', async () => {
    using files = scratch()
    const modes = ['660', '660', '660']
    expect(await seen(files.path, 0o660)).toEqual({ findings: ['note file-rights'], modes })
  })

  it('are a danger where everybody may write', async () => {
    using files = scratch()
    expect((await seen(files.path, 0o666)).findings).toEqual(['danger file-rights'])
  })

  it.runIf(process.getuid?.() === 0)('are a danger where the file is not ours', async () => {
    using files = scratch()
    const { findings, modes } = await seen(files.path, 0o644, 65_534)
    expect(findings).toEqual(['danger file-owner'])
    expect(modes[0]).toBe('644')
  })
})
