import { EngineError, UnsupportedError } from '../../core/errors.ts'
import type { Node } from './node.ts'
import type { Parts } from './parts.ts'
import { ask } from './round.ts'

/** How often a node that did not tell is asked again, in limits of a node. */
const AGAIN_AFTER = 10

/** Sees to it that no server counts twice. */
export class Origins {
  readonly #parts: Parts
  readonly #told = new Map<string, Node>()
  readonly #asked: Set<Node>
  #first: Promise<void> | undefined
  #checked = false
  #againAt = Number.NEGATIVE_INFINITY
  #error: UnsupportedError | undefined

  constructor(parts: Parts) {
    this.#parts = parts
    this.#asked = new Set(parts.nodes.filter(({ engine }) => engine.origin === undefined))
  }

  /**
   * Throws when two nodes are known to be one. The promise, which is there for the first calls
   * only, resolves when every node has told that answers in time.
   */
  check(): Promise<void> | undefined {
    if (this.#error !== undefined) throw this.#error
    const { clock, limitMs, nodes } = this.#parts
    if (this.#asked.size === nodes.length || clock.now() < this.#againAt) return this.#first
    this.#againAt = clock.now() + limitMs * AGAIN_AFTER
    const asking = this.#ask()
    if (this.#checked) {
      // Later answers are told by the next call.
      asking.catch(() => undefined)
      return undefined
    }
    this.#checked = true
    this.#first = asking
    const done = () => {
      this.#first = undefined
    }
    asking.then(done, done)
    return asking
  }

  async #ask(): Promise<void> {
    const nodes = this.#parts.nodes.filter((node) => !this.#asked.has(node))
    const round = ask(
      nodes,
      this.#parts,
      (node) => this.#origin(node),
      (_, final) => (final ? true : undefined),
    )
    await round.decision
    if (this.#error !== undefined) throw this.#error
  }

  async #origin(node: Node): Promise<void> {
    const origin = await node.engine.origin?.().catch((error: unknown) => {
      // Who may not tell is trusted; who gave no answer is asked again.
      if (error instanceof EngineError && !error.transient) return undefined
      throw error
    })
    this.#asked.add(node)
    if (origin === undefined) return
    const other = this.#told.get(origin)
    if (other === undefined) this.#told.set(origin, node)
    else if (other !== node) this.#error = sameServer(other, node)
  }
}

function sameServer(one: Node, other: Node): UnsupportedError {
  return new UnsupportedError(
    `The nodes ${one.name} and ${other.name} of this quorum are one server, whose failure would ` +
      'count twice. List each server once.',
  )
}
