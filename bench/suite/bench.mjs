import { contenders } from '../contenders/index.mjs'

/** The peers of a quick run where every contender takes seconds. */
const QUICK = ['redlock 5 beta', 'redis-semaphore']

const SECOND = 'holdfast, node-redis'

/** How this run goes: what a row asks before it measures. */
export class Bench {
  #only
  #rounds
  #progress

  constructor({ quick, only = [], peers = true, rounds, progress }) {
    this.quick = quick
    this.#only = only
    this.peers = peers
    this.#rounds = rounds
    this.#progress = progress
    this.row = ''
  }

  /**
   * Which of the contenders that a row wants take part. The floors always do; who differs from a
   * plain lock on Redis only in rows that ask for it.
   */
  pick(wanted, { engine = 'redis', handover = false, slow = false } = {}) {
    const fitting = (one) => {
      if ((one.engine ?? 'redis') !== engine || (one.handover && !handover)) return false
      // What a second client shows is not worth the time of a quick run.
      if (slow && this.quick && one.name === SECOND && this.#only.length === 0) return false
      return wanted(one)
    }
    return contenders.filter((one) => {
      if (one.kind === 'broken') return this.#only.includes(one.name)
      if (!fitting(one)) return false
      if (one.kind === 'floor') return true
      if (this.#only.length > 0) return this.#only.includes(one.name)
      return this.peers || one.kind !== 'peer'
    })
  }

  /** Whether a row that takes its time with every peer wants this one. */
  slowPeer({ kind, name }) {
    return kind === 'peer' && (!this.quick || QUICK.includes(name))
  }

  /** How many rounds: the first in a quick run, the second in a full one. */
  rounds(quick, full) {
    return this.#rounds ?? (this.quick ? quick : full)
  }

  /** The same for those that are slow: never more than the row finds right. */
  fewRounds(quick, full) {
    return Math.min(this.rounds(quick, full), this.quick ? quick : full)
  }

  /** Code that has just been loaded runs many times slower: that is not what is measured here. */
  get warmMs() {
    // Whoever wants so few rounds wants to see that it runs.
    if (this.#rounds < 3) return 200
    return this.quick ? 1500 : 15_000
  }

  /** How the rounds of this row are told, and when they have taken long enough. */
  get pace() {
    const budgetMs = this.quick ? 3500 : Number.POSITIVE_INFINITY
    return { progress: this.progress, budgetMs }
  }

  note = (text) => this.#progress(`${this.row}: ${text}`)

  progress = (done, all) => this.note(`round ${done + 1} of ${all}`)
}
