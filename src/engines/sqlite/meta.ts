import { fileError } from './failure.ts'
import type { MachineClock } from './machine-clock.ts'
import type { Statements } from './transaction.ts'

/** How often a file of a system that names no boot is told that this one goes on. */
const SEEN_US = 1_000_000

/** What the file says of the machine, read anew only when it may have changed. */
export class Meta {
  readonly #sql: Statements
  readonly #machine: MachineClock
  readonly #version: number
  readonly #path: string
  #era: number | undefined
  #suspendedUs = 0

  constructor(sql: Statements, machine: MachineClock, version: number, path: string) {
    this.#sql = sql
    this.#machine = machine
    this.#version = version
    this.#path = path
  }

  /** The moment by what is known: right if `holds` says so of a lock in the same transaction. */
  now(): number {
    const { sources } = this.#machine
    if (this.#era === undefined || sources.boot === '') return this.read()
    const suspendedUs = this.#machine.suspendedUs(this.#suspendedUs)
    if (suspendedUs !== this.#suspendedUs) return this.read()
    return sources.monotonicUs() + suspendedUs
  }

  /** The era of what is known. */
  get era(): number | undefined {
    return this.#era
  }

  /** Whether the moment can be told without reading or writing anything. */
  get settled(): boolean {
    if (this.#era === undefined || this.#machine.sources.boot === '') return false
    return this.#machine.suspendedUs(this.#suspendedUs) === this.#suspendedUs
  }

  /** Whether what is known is of the era of a lock. */
  holds(era: number): boolean {
    return era === this.#era
  }

  /** A transaction was undone, and what it read with it. */
  forget(): void {
    this.#era = undefined
  }

  /**
   * The moment. Whoever finds that the machine was suspended writes it down. Throws when the file
   * belongs to a newer Holdfast or to another machine.
   */
  read(): number {
    const { boot } = this.#machine.sources
    const row = this.#sql.meta.get() ?? {}
    if (row['version'] !== this.#version) {
      throw fileError(
        'connect',
        `${JSON.stringify(this.#path)} was upgraded by a newer Holdfast; restart`,
      )
    }
    if (row['boot'] !== boot) throw otherMachineError(this.#path)
    const knownUs = row['suspended_us'] as number
    const suspendedUs = this.#machine.suspendedUs(knownUs)
    const monotonicUs = this.#machine.monotonicUs()
    this.#suspendedUs = suspendedUs
    this.#era = row['era'] as number
    if (suspendedUs !== knownUs) {
      this.#sql.suspend.run(suspendedUs, monotonicUs)
      this.#sql.newEra.run()
      this.#era += 1
    } else if (boot === '' && monotonicUs - (row['seen_us'] as number) > SEEN_US) {
      this.#sql.seen.run(monotonicUs)
    }
    return monotonicUs + suspendedUs
  }

  /** How long a lease lasts, outside a transaction; after a suspend rather less. */
  leftUs(endsUs: number, era: number): number {
    const known = this.holds(era)
      ? this.#suspendedUs
      : ((this.#sql.meta.get()?.['suspended_us'] as number | undefined) ?? 0)
    return endsUs - this.#machine.monotonicUs() - this.#machine.suspendedUs(known)
  }
}

/** Two machines, or two kernels, on one file would end each other's leases. */
export function otherMachineError(path: string): Error {
  return fileError(
    'connect',
    `${JSON.stringify(path)} is in use on another machine too, which has a clock of its own; ` +
      'use Redis for more than one machine',
  )
}
