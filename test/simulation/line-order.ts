import type { Claim, LockState } from 'holdfast'
import type { MemoryStore } from 'holdfast/memory'
import type { Judge } from './judge.ts'

/**
 * Looks at a line right before and right after each step on it. Whoever holds after a step and did
 * not before must have stood in front of all who still wait; who waits keeps its place, and whoever
 * comes without a ticket stands behind.
 */
export class LineOrder {
  readonly #judge: Judge
  readonly #last = new Map<string, LockState | null>()

  constructor(judge: Judge) {
    this.#judge = judge
  }

  /** Runs a step on the lines of these names. */
  around<T>(store: MemoryStore, names: readonly string[], step: () => T, claim?: Claim): T {
    const before = names.map((name) => {
      const state = store.inspect(name)
      // What time alone has done since the last step.
      this.#compare(name, this.#last.get(name) ?? null, state)
      return state
    })
    const result = step()
    for (const [at, name] of names.entries()) {
      const after = store.inspect(name)
      this.#compare(name, before[at] ?? null, after, claim)
      this.#last.set(name, after)
    }
    return result
  }

  /** The server lost its data: nobody waits any more. */
  forget(): void {
    this.#last.clear()
  }

  #compare(name: string, before: LockState | null, after: LockState | null, claim?: Claim): void {
    if (before === null || after === null) return
    const waited = before.waiters.map(({ identity }) => identity)
    const waits = new Set(after.waiters.map(({ identity }) => identity))
    const stood = waited.filter((identity) => waits.has(identity))
    const stands = after.waiters.map(({ identity }) => identity)
    const kept = stands.filter((identity) => waited.includes(identity))
    if (stood.join() !== kept.join()) this.#judge.note('line order', `${name}: places changed`)
    if (claim !== undefined && claim.ticket === undefined && !waited.includes(claim.identity)) {
      const at = stands.indexOf(claim.identity)
      if (at !== -1 && at < stood.length) {
        this.#judge.note('line order', `${name}: ${claim.identity} came in front of others`)
      }
    }
    const held = new Set(before.holders.map(({ identity }) => identity))
    for (const { identity } of after.holders) {
      if (held.has(identity) || identity === '') continue
      // Whoever has a ticket comes back to where it stood, which may be the front.
      if (identity === claim?.identity && claim.ticket !== undefined) continue
      const at = waited.indexOf(identity)
      const passed = (at === -1 ? waited : waited.slice(0, at)).find((each) => waits.has(each))
      if (passed !== undefined) {
        this.#judge.note('line order', `${name}: ${identity} was let in before ${passed}`)
      }
    }
  }
}
