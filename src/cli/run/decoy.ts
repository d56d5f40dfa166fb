import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * How long after a death, and the start of a successor, the signal to holdfast may come that the
 * whole group got with it. That start alone can take longer on a busy machine.
 */
const SAME_MS = 200

/** So shortly after its successor was there, a further signal may have missed both of them. */
const SETTLED_MS = 30

/** How long to wait for the end of one that is dying. */
const LONGEST_DEATH_MS = 5000

/** A process whose parent has not heard of its end yet, or that has a signal to take. */
const DOOMED = /^State:\s+[ZX]|^S(?:ig|hd)Pnd:\s*0*[1-9a-f]/m

/**
 * A process in the group of holdfast that any signal ends. It tells a signal that the whole group
 * got, as from Ctrl-C, from one that only holdfast got: the command in the group has the former
 * already, and needs to be told of the latter.
 */
export class Decoy {
  #child: ChildProcess | undefined
  #death: { readonly signal: NodeJS.Signals; told: boolean } | undefined
  #startedMs = 0
  #closed = false

  constructor() {
    this.#start()
  }

  /** Whether the whole group got the signal that holdfast just got; `undefined` where unknown. */
  async struckBy(signal: NodeJS.Signals): Promise<boolean | undefined> {
    const child = this.#child
    if (child?.pid === undefined) return undefined
    if (this.#tellDeathOf(signal)) return true
    // The system signals the members of a group one after another.
    await wait(process.platform === 'linux' ? 20 : 100)
    // It may be dying of another signal, and this one must not be lost to the command.
    if (child.signalCode === null && isDoomed(child.pid)) {
      await Promise.race([once(child, 'exit'), wait(LONGEST_DEATH_MS)])
    }
    return this.#tellDeathOf(signal)
  }

  close(): void {
    this.#closed = true
    this.#child?.kill('SIGKILL')
  }

  #start(): void {
    // The mark of nobody: a holdfast around this one leaves it to this one.
    const within = `${process.env['HOLDFAST_WITHIN'] ?? ''} -`
    const child = spawn('cat', [], {
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { PATH: process.env['PATH'], HOLDFAST_WITHIN: within },
    })
    this.#child = child
    this.#startedMs = performance.now()
    child.unref()
    // It ends with holdfast, since that holds the other end. A pipe to a child is a socket.
    const input = child.stdin as Socket | null
    input?.unref()
    for (const part of [child, input]) part?.on('error', () => {})
    child.once('exit', (_code, signal) => {
      if (this.#closed || signal === null) return
      this.#death = { signal, told: false }
      this.#start()
    })
  }

  /** One death stands for one signal: what comes after it to holdfast alone is another. */
  #tellDeathOf(signal: NodeJS.Signals): boolean {
    const death = this.#death
    if (death?.signal !== signal) return false
    const sinceMs = performance.now() - this.#startedMs
    if (sinceMs >= (death.told ? SETTLED_MS : SAME_MS)) return false
    death.told = true
    return true
  }
}

function isDoomed(pid: number): boolean {
  if (process.platform !== 'linux') return false
  try {
    return DOOMED.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
  } catch {
    return true
  }
}
