import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { defaultPath } from './engines/sqlite/files.ts'
import { connect } from './index.ts'

describe('connect without a URL', () => {
  let home: string

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'holdfast-home-'))
    vi.stubEnv('HOME', home)
    vi.stubEnv('LOCALAPPDATA', home)
    vi.stubEnv('XDG_STATE_HOME', join(home, 'state'))
    vi.stubEnv('HOLDFAST_URL', undefined)
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    rmSync(home, { recursive: true, force: true })
  })

  it.each([undefined, ''])('uses the file of this user where HOLDFAST_URL is %j', async (url) => {
    vi.stubEnv('HOLDFAST_URL', url)
    await using holdfast = await connect()
    expect(holdfast.engine.name).toBe('sqlite')
    expect(defaultPath().startsWith(home)).toBe(true)
    expect(existsSync(defaultPath())).toBe(true)
    await using same = await connect('sqlite:')
    const lease = await holdfast.mutex('m').acquire()
    expect(await same.mutex('m').tryAcquire()).toBeNull()
    await lease.release()
  })

  it('uses what HOLDFAST_URL names', async () => {
    vi.stubEnv('HOLDFAST_URL', 'memory:')
    await using holdfast = await connect()
    expect(holdfast.engine.name).toBe('memory')
    await using given = await connect(`sqlite:${join(home, 'given.db')}`)
    expect(given.engine.name).toBe('sqlite')
    expect(existsSync(defaultPath())).toBe(false)
  })

  it('takes options', async () => {
    await using holdfast = await connect({ ttlMs: 4321 })
    expect(holdfast.engine.name).toBe('sqlite')
    await using lease = await holdfast.mutex('m').acquire()
    expect(lease.remainingMs).toBeLessThanOrEqual(4321)
    await expect(connect({ ttlMs: 0 })).rejects.toThrow('ttlMs must be')
    await expect(connect(null as unknown as object)).rejects.toThrow('url must be a string')
  })

  it('says that HOLDFAST_URL is wrong', async () => {
    vi.stubEnv('HOLDFAST_URL', 'localhost')
    await expect(connect()).rejects.toMatchObject({
      code: 'HOLDFAST_UNSUPPORTED',
      message: expect.stringContaining('HOLDFAST_URL'),
    })
  })

  it('does not take a missing URL for none', async () => {
    const missing = undefined as unknown as string
    await expect(connect(missing)).rejects.toThrow('url must be a string, got undefined.')
    await expect(connect(missing, {})).rejects.toThrow(TypeError)
    const parsed = new URL('redis://127.0.0.1:1') as unknown as string
    await expect(connect(parsed)).rejects.toThrow(TypeError)
    expect(existsSync(defaultPath())).toBe(false)
  })
})
