import type { Random } from '../../core/clock.ts'
import type { Place, Standing } from '../../core/engine.ts'
import type { Node } from './node.ts'
import type { Limits } from './round.ts'

/** What all parts of one quorum share. */
export interface Parts extends Limits {
  readonly nodes: readonly Node[]
  readonly majority: number
  readonly random: Random
  /**
   * Gives back in the background what a node holds for a place, once `call` has settled, and until
   * the node has answered. Resolves to whether the first try was answered: then nothing of it can
   * still be on its way.
   */
  readonly leave: (node: Node, place: Place, call?: Promise<Standing>) => Promise<boolean>
}
