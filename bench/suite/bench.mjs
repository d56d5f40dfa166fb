import { contenders } from '../contenders/index.mjs'

/** The peers of a quick run where every contender takes seconds. */
const QUICK = ['redlock 5 beta', 'redis-semaphore']

/** How this run goes: what a row asks before it measures. */
export class Bench {
  #only
  #peers
  #rounds
  #progress

  constructor({ quick, only = [], peers = true, rounds, progress }) {
    this.quick = quick
    this.#only = only
    this.#peers = peers
    this.#rounds = rounds
    this.#progress = progress
    this.row = ''
  }

  /** Which of the contenders that a row wants take part. The floors always do. */
  pick(wanted) {
    return contenders.filter((one) => {
      if (this.#only.length === 0) {
        return one.kind !== 'broken' && wanted(one) && (this.#peers || one.kind !== 'peer')
      }
      if (this.#only.includes(one.name)) return one.kind === 'broken' || wanted(one)
      return one.kind === 'floor' && wanted(one)
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

  /** Code that has just been loaded runs many times slower: that is not what is measured here. */
  get warmMs() {
    return this.quick ? 2000 : 15_000
  }

  note = (text) => this.#progress(`${this.row}: ${text}`)

  progress = (done, all) => this.note(`round ${done + 1} of ${all}`)
}
