import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import type { World } from 'holdfast/testing'
import type { Engine, Place, Standing } from '../../src/core/engine.ts'
import type { Spot } from '../../src/engines/memory/line.ts'
import type { Actor } from './reference.ts'

/** How many processes call the engine. */
export const PROCESSES = 3

/** The engine under test: a few processes of it, and what they have said so far. */
export class System {
  readonly engines: readonly Engine[]
  steps = 0
  readonly #world: World
  readonly #shortMs: number
  readonly #history = randomBytes(6).toString('hex')
  /** Per lock, pairs of fences: the reference's and the engine's for the same grant. */
  readonly #fences = new Map<number, Map<number, number>>()
  #startedMs: number
  #blurred = false

  private constructor(world: World, engines: readonly Engine[], shortMs: number) {
    this.#world = world
    this.engines = engines
    this.#shortMs = shortMs
    this.#startedMs = world.clock.now()
  }

  static async start(world: World, shortMs: number): Promise<System> {
    const engines = await Promise.all(Array.from({ length: PROCESSES }, () => world.engine()))
    return new System(world, engines, shortMs)
  }

  /**
   * Whether so much time went by since the last pause that a short life may have ended, which the
   * reference does not know of.
   */
  get blurred(): boolean {
    this.#blurred ||= this.#world.clock.now() - this.#startedMs > this.#shortMs / 2
    return this.#blurred
  }

  /** Whether grants are told to whoever waits. */
  get pushes(): boolean {
    return this.engines.every(({ guarantees }) => guarantees.push)
  }

  engineOf(actor: Actor): Engine {
    return this.engines[actor.process] as Engine
  }

  nameOf(lock: number): string {
    return `model:${this.#history}:${lock}`
  }

  placeOf(actor: Actor): Place {
    return { ...actor.place, name: this.nameOf(actor.lock) }
  }

  /** The answer to the actor's next call is lost, where that can be done. */
  async loseReply(actor: Actor): Promise<void> {
    await this.#world.loseReply?.(this.engineOf(actor))
  }

  /** Lets time go by and starts to measure anew. */
  async pause(ms: number): Promise<void> {
    if (this.blurred) return
    await this.#world.advance(ms)
    this.#startedMs = this.#world.clock.now()
  }

  /** The next standing that a waiter hears of, which must come by itself. */
  async news(actor: Actor): Promise<Standing> {
    const giveUp = new AbortController()
    const news = this.engineOf(actor).wait(this.placeOf(actor), giveUp.signal)
    let over = false
    const done = () => {
      over = true
    }
    news.then(done, done)
    await this.#world.settle(() => over)
    return await news
  }

  /** Compares where both sides say that an actor stands, unless too much time went by meanwhile. */
  compare(actor: Actor, expected: Spot, standing: Standing): void {
    if (this.blurred) return
    const who = `actor ${actor.number}`
    assert.equal(standing.state, expected.state, `${who} is ${standing.state}`)
    if (expected.state === 'held' && standing.state === 'held') {
      this.#compareFence(actor.lock, expected.fence, standing.fence)
    }
    if (expected.state === 'waiting' && standing.state === 'waiting') {
      assert.equal(standing.ahead, expected.ahead, `${who} has ${standing.ahead} ahead`)
      actor.tickets = { reference: expected.ticket, real: standing.ticket }
    }
  }

  /** One grant has one fence, and a later grant has a larger one, whoever hears of them when. */
  #compareFence(lock: number, expected: number, fence: number): void {
    const fences = this.#fences.get(lock) ?? new Map<number, number>()
    this.#fences.set(lock, fences)
    assert.equal(fence, fences.get(expected) ?? fence, 'a grant changed its fence')
    fences.set(expected, fence)
    const inOrder = [...fences].sort(([one], [other]) => one - other).map(([, real]) => real)
    for (const [index, later] of inOrder.entries()) {
      const before = inOrder[index - 1] ?? 0
      assert.ok(later > before, `fence ${later} was granted after ${before}`)
    }
  }
}
