import type { Holdfast, HoldfastOptions } from 'holdfast'
import { type LockManager, type WebLocksOptions, webLocks } from 'holdfast/web-locks'
import { until } from '../support/until.ts'

/** Makes processes that share one engine. */
export interface World {
  holdfast(options?: Omit<HoldfastOptions, 'clock' | 'random'>): Promise<Holdfast>
  stop(): Promise<void>
}

/** Managers of one test: a prefix of its own, so that tests do not meet. */
export class Page {
  readonly holdfasts: Holdfast[] = []
  readonly prefix: string
  readonly #world: World
  static #count = 0

  constructor(world: World) {
    this.#world = world
    this.prefix = `origin ${++Page.#count}:`
  }

  /** A manager of its own process. */
  async manager(options: WebLocksOptions = {}): Promise<LockManager> {
    const holdfast = await this.#world.holdfast({ ttlMs: 2000 })
    this.holdfasts.push(holdfast)
    return webLocks(holdfast, { prefix: this.prefix, ...options })
  }

  async close(): Promise<void> {
    await Promise.all(this.holdfasts.map((holdfast) => holdfast.close()))
  }
}

/** A promise and how to settle it. */
export interface Gate {
  readonly opened: Promise<void>
  open(): void
}

export function gate(): Gate {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

/** A lock that is held until `release`, and what became of its request. */
export interface Held {
  release(): Promise<void>
  readonly request: Promise<string>
}

/** Requests a lock and resolves when it is held. */
export async function keep(
  manager: LockManager,
  name: string,
  options: { mode?: 'shared'; steal?: true } = {},
): Promise<Held> {
  const held = gate()
  const done = gate()
  const request = manager.request(name, options, async () => {
    held.open()
    await done.opened
    return 'kept'
  })
  request.catch(() => undefined)
  await Promise.race([held.opened, request])
  return {
    request,
    async release() {
      done.open()
      await request
    },
  }
}

/** The name and the message of what a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('expected a rejection')
}

/** Resolves when so many requests for the name wait. */
export async function pending(manager: LockManager, name: string, count: number): Promise<void> {
  await until(
    async () => {
      const state = await manager.query()
      return state.pending.filter((each) => each.name === name).length === count
    },
    { what: `${count} pending requests for ${name}` },
  )
}

export const never = (): never => {
  throw new Error('the callback must not be called')
}
