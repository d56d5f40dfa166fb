import type { Proxy } from '../support/proxy.ts'
import type { SetClock } from './clock-shim.ts'
import type { Crew, Slot } from './crew.ts'
import type { Ground, GroundSpec } from './ground.ts'

/** What a fault may use. */
export interface Scene {
  readonly ground: Ground
  readonly crew: Crew
  /** The locks that it may disturb: those of one group, or all. */
  readonly locks: readonly string[]
  readonly ttlMs: number
  readonly random: () => number
  readonly networkOf: (slot: Slot) => readonly Proxy[]
  readonly clockOf: (slot: Slot) => SetClock | undefined
  readonly wait: (ms: number) => Promise<void>
}

/** What was done. Moments as the workers count them. */
export interface Struck {
  /** When the fault began, where that is later than the call. */
  readonly from?: number
  /** When what it broke was whole again: now, unless it says so. */
  readonly until?: number
  readonly process?: string
}

export interface Fault {
  readonly kind: string
  /** What it did, in the words of RECORD.md. */
  readonly title: string
  readonly on: readonly GroundSpec['on'][]
  /** Whether it strikes the processes of one group, or all of them. */
  readonly scope: 'group' | 'all'
  /**
   * It breaks what exclusion rests on (the engine keeps its data, its clock does not jump). Two
   * leases may then stand at once; the fence holds all the same, and the holder is told.
   */
  readonly breaksExclusion?: boolean
  /** It needs a network that can fail between each process and the servers. */
  readonly ofNetwork?: boolean
  /** What the ground must be able to do. */
  readonly needs?: 'keeps' | 'clock' | 'workers with clocks'
  /** How long what it needs to be whole again may take besides a lease and a look. */
  readonly furtherMs?: number
  /** Does it; undefined where there was nobody to strike. */
  readonly strike: (scene: Scene) => Promise<Struck | undefined>
}

/** The longest pause between two tries to connect: a connection may find a fault healed so late. */
export const RECONNECT_MS = 500

export const between = (random: () => number, least: number, most: number): number =>
  least + random() * (most - least)

export const oneOf = <T>(random: () => number, all: readonly T[]): T | undefined =>
  all[Math.floor(random() * all.length)]
