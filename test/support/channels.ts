import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { AcquireTrace, HoldTrace, RenewTrace } from 'holdfast'

export interface Traced {
  acquire: AcquireTrace
  hold: HoldTrace
  renew: RenewTrace
}

const MOMENTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const

/** Everything that the channels tell until `stop`, each as "acquire start", with its message. */
export class ChannelLog {
  readonly told: string[] = []
  readonly messages: { [K in keyof Traced]: Traced[K][] } = { acquire: [], hold: [], renew: [] }
  /** Places in front, at each `holdfast:waiting`. */
  readonly ahead: number[] = []
  readonly #ends: (() => void)[] = []

  constructor(kinds: readonly (keyof Traced)[] = ['acquire', 'hold', 'renew']) {
    for (const kind of kinds) {
      for (const moment of MOMENTS) {
        this.#hear(`tracing:holdfast:${kind}:${moment}`, (message) => {
          this.told.push(`${kind} ${moment}`)
          if (moment === 'start') (this.messages[kind] as unknown[]).push(message)
        })
      }
    }
    this.#hear('holdfast:waiting', (message) => {
      this.told.push('waiting')
      this.ahead.push((message as AcquireTrace).ahead ?? -1)
    })
  }

  /** What was told of one kind since the last look. */
  take(kind: keyof Traced): string[] {
    const own = this.told.filter((each) => each.startsWith(kind))
    const rest = this.told.filter((each) => !each.startsWith(kind))
    this.told.splice(0, this.told.length, ...rest)
    return own.map((each) => each.slice(kind.length + 1))
  }

  stop(): void {
    for (const end of this.#ends.splice(0)) end()
  }

  #hear(name: string, listener: (message: unknown) => void): void {
    const hear = (message: unknown) => listener(message)
    subscribe(name, hear)
    this.#ends.push(() => unsubscribe(name, hear))
  }
}

/** Whether anybody listens on any channel of Holdfast. */
export function heard(): boolean {
  const names = ['acquire', 'hold', 'renew'].flatMap((kind) =>
    MOMENTS.map((moment) => `tracing:holdfast:${kind}:${moment}`),
  )
  return ['holdfast:waiting', ...names].some((name) => channel(name).hasSubscribers)
}
