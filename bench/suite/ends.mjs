import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Gate } from './overlap.mjs'
import { median } from './statistics.mjs'

/** Two ends of one lock that give it to each other. */
export class Ends {
  #opened
  #locks
  #holder = 0
  #grant
  #gate = new Gate()
  #client

  constructor(name) {
    this.name = name
  }

  /** `open` makes one end. */
  static async open(open, name, url) {
    const ends = new Ends(name)
    ends.#opened = [await open(), await open()]
    ends.#locks = ends.#opened.map((one) => one.lock(name))
    ends.#grant = await ends.#locks[0].acquire()
    ends.#client = new Redis(url)
    return ends
  }

  /** So many hand-offs, each with a round trip before it: medians in ms. */
  async handOffs(times, settleMs, contender) {
    const took = []
    const trips = []
    for (let at = 0; at < times; at++) {
      trips.push(await this.#roundTrip())
      took.push(await this.#handOff(settleMs))
    }
    this.#gate.check(contender)
    return { ms: median(took), tripMs: median(trips) }
  }

  async close() {
    this.#client.disconnect()
    // Some would go on renewing it over a closed connection, and throw.
    await this.#locks[this.#holder].release(this.#grant)
    await Promise.all(this.#opened.map((one) => one.close()))
  }

  /** How long until the other end has it, from the call that releases. */
  async #handOff(settleMs) {
    const next = 1 - this.#holder
    let at = 0
    const waiting = this.#locks[next].acquire().then((grant) => {
      at = performance.now()
      this.#gate.enter('', grant?.fence)
      return grant
    })
    await pause(settleMs)
    this.#gate.leave('')
    const from = performance.now()
    const released = this.#locks[this.#holder].release(this.#grant)
    const [grant] = await Promise.all([waiting, released])
    this.#holder = next
    this.#grant = grant
    return at - from
  }

  async #roundTrip() {
    const from = performance.now()
    await this.#client.ping()
    return performance.now() - from
  }
}
