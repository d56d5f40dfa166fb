import { execFile } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { reaper } from '../support/reaper.ts'

const source = fileURLToPath(new URL('clock-shim.c', import.meta.url))

let built: Promise<string | undefined> | undefined

/**
 * Compiles what sets the clocks of single processes, and gives its path; undefined where there is
 * no C compiler, which is said in one line, and is a failure in CI.
 */
export function clockShim(): Promise<string | undefined> {
  built ??= build()
  return built
}

async function build(): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-clock-'))
  reaper.watchFolder(folder)
  const path = join(folder, 'clock-shim.so')
  try {
    await promisify(execFile)('cc', ['-O1', '-Wall', '-shared', '-fPIC', '-o', path, source])
    return path
  } catch (error) {
    if (process.env['CI']) throw error
    console.warn(`\nNOT TESTED WITH CLOCKS THAT ARE SET: ${(error as Error).message}\n`)
    return undefined
  }
}

/** A clock of one process, or of several, that is as far off as it was last set. */
export class SetClock {
  readonly path: string
  #offsetMs = 0

  constructor(folder: string, name: string) {
    this.path = join(folder, `clock-${name}`)
    const file = openSync(this.path, 'w')
    writeSync(file, Buffer.alloc(8))
    closeSync(file)
  }

  get offsetMs(): number {
    return this.#offsetMs
  }

  /** Steps the clock from where it is. */
  step(ms: number): void {
    this.#offsetMs += Math.round(ms)
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(this.#offsetMs))
    const file = openSync(this.path, 'r+')
    writeSync(file, bytes, 0, 8, 0)
    closeSync(file)
  }
}
