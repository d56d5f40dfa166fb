import type { Clock } from '../../core/clock.ts'
import type { Enlisted, NodeList } from '../../core/engine.ts'

/** Other lists that are told of. */
const SHOWN = 8

interface Use {
  readonly by: string
  readonly atMs: number
  readonly keepMs: number
}

/** Which lists of nodes this store was counted among lately. See `Engine.enlist`. */
export class NodeLists {
  readonly #clock: Clock
  /** By list, the latest use last. */
  readonly #uses = new Map<string, Use>()
  #node: { readonly name: string; readonly atMs: number } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  enlist({ list, by, node, keepMs }: NodeList): Enlisted {
    const nowMs = this.#clock.now()
    this.#node ??= { name: node, atMs: nowMs }
    for (const [each, use] of this.#uses) {
      if (nowMs - use.atMs > use.keepMs) this.#uses.delete(each)
    }
    this.#uses.delete(list)
    const others = [...this.#uses].reverse().slice(0, SHOWN)
    if (list !== '') this.#uses.set(list, { by, atMs: nowMs, keepMs })
    return {
      node: this.#node.name,
      nodeMs: nowMs - this.#node.atMs,
      others: others.map(([each, use]) => ({
        list: each,
        by: use.by,
        agoMs: nowMs - use.atMs,
      })),
    }
  }
}
