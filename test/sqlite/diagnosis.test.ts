import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Finding } from 'holdfast'
import { afterEach, describe, expect, it } from 'vitest'
import { loadBinding } from '../../src/engines/sqlite/binding.ts'
import { fileFindings, observe } from '../../src/engines/sqlite/diagnosis.ts'
import { until } from '../support/until.ts'
import { scratch } from './support.ts'

/** Without what a loaded machine adds. */
const told = (findings: readonly Finding[]): string[] =>
  findings
    .filter(({ code }) => !code.includes('latency'))
    .map(({ severity, code }) => `${severity} ${code}`)

describe('a diagnosis of a file', () => {
  const warnings: Error[] = []
  const note = (warning: Error): number => warnings.push(warning)

  afterEach(() => {
    process.off('warning', note)
    warnings.length = 0
  })

  it('finds nothing where all is well, and leaves nothing', async () => {
    using at = scratch()
    await using holdfast = await connect(`sqlite:${at.path}`)
    expect(told(await holdfast.diagnose())).toEqual([])
    expect((await holdfast.list()).names).toEqual([])
  })

  it.skipIf(process.platform === 'win32')('tells who else may write to it', async () => {
    using at = scratch()
    await using holdfast = await connect(`sqlite:${at.path}`)
    chmodSync(at.path, 0o660)
    expect(told(await holdfast.diagnose())).toEqual(['note file-rights'])
    chmodSync(at.path, 0o666)
    expect(told(await holdfast.diagnose())).toEqual(['danger file-rights'])
    chmodSync(at.path, 0o600)
    chmodSync(at.folder, 0o777)
    expect(told(await holdfast.diagnose())).toEqual(['danger file-rights'])
    // As in /tmp: others may add files, and not replace this one.
    chmodSync(at.folder, 0o1777)
    expect(told(await holdfast.diagnose())).toEqual([])
  })

  it.skipIf(process.platform === 'win32')('warns of that when it is opened', async () => {
    using at = scratch()
    await (await connect(`sqlite:${at.path}`)).close()
    chmodSync(at.path, 0o666)
    process.on('warning', note)
    await using holdfast = await connect(`sqlite:${at.path}`)
    await until(() => warnings.length > 0, { what: 'the warning' })
    expect(warnings).toMatchObject([{ name: 'HoldfastWarning', code: 'file-rights' }])
    expect(holdfast.engine.name).toBe('sqlite')
  })

  it('tells of a file that cannot be opened', async () => {
    using at = scratch()
    await using holdfast = await connect(`sqlite:${at.path}`)
    await using late = await connect(`sqlite:${at.path}`, { requestTimeoutMs: 300 })
    await holdfast.close()
    rmSync(at.folder, { recursive: true })
    writeFileSync(at.folder, 'in the way')
    expect(told(await late.diagnose())).toEqual(['danger unreachable'])
  })

  it('judges what the file lies on and what reads it', async () => {
    using at = scratch()
    await using holdfast = await connect(`sqlite:${at.path}`)
    expect(holdfast.engine.name).toBe('sqlite')
    const sound = observe(loadBinding(), at.path, true)
    expect(sound.freeBytes).toBeGreaterThan(0)
    expect(sound.sqliteVersion).toMatch(/^3\.\d+\.\d+$/)
    const codes = (change: Partial<typeof sound>): string[] =>
      told(fileFindings({ ...sound, sqliteVersion: '3.51.3', ...change }))
    expect(codes({})).toEqual([])
    expect(codes({ sqliteVersion: '4.0.0' })).toEqual([])
    expect(codes({ sqliteVersion: '3.52.0' })).toEqual([])
    expect(codes({ sqliteVersion: '3.51.2' })).toEqual(['warning sqlite-version'])
    expect(codes({ sqliteVersion: '3.46.9' })).toEqual(['warning sqlite-version'])
    expect(codes({ fileSystem: 'fuse.encfs' })).toEqual(['warning file-system'])
    expect(codes({ fileSystem: 'ext4' })).toEqual([])
    expect(codes({ freeBytes: 1_000_000 })).toEqual(['warning disk-space'])
    expect(codes({ watched: false })).toEqual(['note no-watch'])
    expect(codes({ fileMode: undefined, folderMode: undefined })).toEqual([])
  })
})
