import type { Clock } from '../../core/clock.ts'
import type { RedisPort } from './port.ts'

/** What is heard. Neither call may throw. */
export interface Hearing {
  message(text: string, server: string | undefined): void
  /** A subscription is up, the first time or again: messages may have been missed. */
  ready(): void
}

interface Ear {
  readonly subscription: { close(): Promise<void> }
  readonly awaitingReady: Set<() => void>
  isUp: boolean
}

/** The subscriptions of one engine: one channel, or on a Cluster one for each server. */
export class Ears {
  readonly #port: RedisPort
  readonly #clock: Clock
  readonly #patienceMs: number
  readonly #hearing: Hearing
  readonly #ears = new Map<string, Ear>()

  constructor(port: RedisPort, clock: Clock, patienceMs: number, hearing: Hearing) {
    this.#port = port
    this.#clock = clock
    this.#patienceMs = patienceMs
    this.#hearing = hearing
  }

  /**
   * A subscription is made when somebody waits for the first time, and kept. Resolves to whether it
   * was up already; waits for it no longer than for a command, since looks do without it.
   */
  async listen(channel: string): Promise<boolean> {
    const ear = this.open(channel)
    if (ear.isUp) return true
    await new Promise<void>((resolve) => {
      const wake = () => {
        timer.cancel()
        ear.awaitingReady.delete(wake)
        resolve()
      }
      const timer = this.#clock.setTimer(wake, this.#patienceMs)
      ear.awaitingReady.add(wake)
    })
    return false
  }

  async close(): Promise<void> {
    for (const ear of this.#ears.values()) wakeAll(ear)
    await Promise.all([...this.#ears.values()].map(({ subscription }) => subscription.close()))
  }

  /** Begins to listen, if nobody did yet. */
  open(channel: string): Ear {
    const known = this.#ears.get(channel)
    if (known !== undefined) return known
    const subscription = this.#port.subscribe(channel, {
      message: (text, server) => this.#hearing.message(text, server),
      ready: () => {
        ear.isUp = true
        this.#hearing.ready()
        wakeAll(ear)
      },
      broken: () => {
        ear.isUp = false
      },
    })
    const ear: Ear = { subscription, awaitingReady: new Set(), isUp: false }
    this.#ears.set(channel, ear)
    return ear
  }
}

function wakeAll({ awaitingReady }: Ear): void {
  for (const wake of awaitingReady) wake()
}
