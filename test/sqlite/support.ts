import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../src/core/clock.ts'
import { loadBinding } from '../../src/engines/sqlite/binding.ts'
import { SqliteEngine, type SqliteSettings } from '../../src/engines/sqlite/engine.ts'
import { MachineClock, type MachineSources } from '../../src/engines/sqlite/machine-clock.ts'
import { SimulatedClock } from '../../src/testing/index.ts'
import { reaper } from '../support/reaper.ts'
import { compiledLibrary } from '../support/workers.ts'

const script = fileURLToPath(new URL('worker.mjs', import.meta.url))

/** A fresh folder that is gone after the test, whatever comes of it. */
export function scratch(): { path: string; folder: string; [Symbol.dispose](): void } {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-sqlite-'))
  reaper.watchFolder(folder)
  return {
    folder,
    path: join(folder, 'locks.db'),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** A machine whose clocks are moved by hand. */
export class Machine implements MachineSources {
  readonly clock: SimulatedClock = new SimulatedClock(1_000)
  suspendedMs = 0
  wallOffsetMs = 1_800_000_000_000
  boot = 'first boot'

  readonly monotonicUs = (): number => Math.floor(this.clock.now() * 1000)
  readonly uptimeUs = (): number => Math.floor((this.clock.now() + this.suspendedMs) / 10) * 10_000
  readonly wallMs = (): number => this.clock.now() + this.suspendedMs + this.wallOffsetMs

  engine(path: string, settings: Partial<SqliteSettings> = {}): SqliteEngine {
    return new SqliteEngine({
      binding: loadBinding(),
      path,
      clock: this.holderClock(),
      machine: new MachineClock(this),
      wallMicros: () => Math.floor(this.wallMs() * 1000),
      random: Math.random,
      commandTimeoutMs: 5_000,
      fenceTtlMs: 86_400_000,
      ...settings,
    })
  }

  /** Counts suspended time, as the clock of a real process does. */
  holderClock(): Clock {
    return {
      now: () => this.clock.now() + this.suspendedMs,
      setTimer: (action, delayMs) => this.clock.setTimer(action, delayMs),
    }
  }
}

/** A process with an engine on a file. */
export interface Process extends AsyncDisposable {
  readonly child: ChildProcess
  call<T = null>(command: string, args?: object): Promise<T>
  kill(): Promise<void>
  /** Resolves when it has ended by itself. */
  ended(): Promise<number | null>
}

/** Whom a process of root turns into; its first group has the same number. */
export interface User {
  readonly uid: number
  readonly groups: readonly number[]
}

export async function startProcess(path: string, user?: User): Promise<Process> {
  const library = await compiledLibrary()
  const child = spawn(process.execPath, [script, JSON.stringify({ library, path, user })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  if (child.pid !== undefined) reaper.watchProcess(child.pid)
  const exit = once(child, 'exit')
  const pending = new Map<
    number,
    { resolve: (value: never) => void; reject: (error: Error) => void }
  >()
  let calls = 0
  let gone = false
  child.stdin.on('error', () => undefined)
  child.once('exit', () => {
    gone = true
    if (child.pid !== undefined) reaper.forgetProcess(child.pid)
    for (const { reject } of pending.values()) reject(new Error('the process has ended'))
  })
  const answer = (id: number) =>
    new Promise<never>((resolve, reject) => pending.set(id, { resolve, reject }))
  const ready = answer(0)
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id, value, error } = JSON.parse(line)
    const waiting = pending.get(id)
    pending.delete(id)
    if (error === undefined) waiting?.resolve(value as never)
    else waiting?.reject(Object.assign(new Error(error.message), { code: error.code }))
  })
  await ready
  const kill = async () => {
    if (!gone) child.kill('SIGKILL')
    await exit
  }
  return {
    child,
    async call(command, args = {}) {
      if (gone) throw new Error('the process has ended')
      calls += 1
      child.stdin.write(`${JSON.stringify({ id: calls, command, ...args })}\n`)
      return await answer(calls)
    },
    kill,
    ended: async () => (await exit)[0] as number | null,
    [Symbol.asyncDispose]: kill,
  }
}
