import { hostname } from 'node:os'
import type { Clock, Random } from '../../core/clock.ts'
import type { Engine } from '../../core/engine.ts'
import type { Finding } from '../../core/finding.ts'
import { checkObject, checkWhole, MAX_MS, show } from '../../core/options.ts'
import { systemClock, systemRandom } from '../../system/clock.ts'
import { warn } from '../../system/warnings.ts'
import { QuorumEngine } from './engine.ts'

/** How several engines decide together. */
export interface QuorumOptions {
  /**
   * How long one node may take to answer before the others decide without it: 1 to 2147483647, 1000
   * by default.
   */
  readonly nodeTimeoutMs?: number
  /** Names of the nodes for errors, in their order. `redis 1`, `redis 2` and so on by default. */
  readonly names?: readonly string[]
  /**
   * Is told when another process uses another list of nodes for the same locks. By default that is
   * a `HoldfastWarning` of the process.
   */
  readonly warn?: (finding: Finding) => void
  /** For tests: another clock than the system's. The engines must go by the same one. */
  readonly clock?: Clock
  /** For tests: another source of chance than the system's. */
  readonly random?: Random
}

/** How many nodes: with fewer none may fail, with more every step costs more than it gives. */
const NODES = [3, 5, 7, 9]

/**
 * One engine made of 3, 5, 7 or 9 that fail independently of each other: a lock is held by whoever
 * has it on a majority, so that any minority may fail. Serves mutexes and elections. The engines
 * belong to it from now on and are closed with it. Throws TypeError or RangeError for wrong
 * arguments; a server that is listed twice is found at the first call and refused with
 * `UnsupportedError`.
 */
export function quorum(engines: readonly Engine[], options: QuorumOptions = {}): Engine {
  return makeQuorum(engines, options)
}

/** Like `quorum`, and rejects with `QuorumError` when fewer than a majority of the nodes answer. */
export async function connectQuorum(
  engines: readonly Engine[],
  options: QuorumOptions = {},
): Promise<Engine> {
  const engine = makeQuorum(engines, options)
  try {
    await engine.ping()
  } catch (error) {
    await engine.close()
    throw error
  }
  return engine
}

function makeQuorum(engines: readonly Engine[], options: QuorumOptions): QuorumEngine {
  checkObject('options', options)
  const { nodeTimeoutMs = 1000, names, clock = systemClock, random = systemRandom } = options
  checkWhole('nodeTimeoutMs', nodeTimeoutMs, 1, MAX_MS)
  checkEngines(engines)
  const self = { by: `${hostname()}:${process.pid}`, warn: options.warn ?? warn }
  return new QuorumEngine(engines, names ?? defaultNames(engines), {
    clock,
    random,
    nodeTimeoutMs,
    self,
  })
}

function checkEngines(engines: readonly Engine[]): void {
  if (!Array.isArray(engines)) {
    throw new TypeError(`engines must be an array, got ${show(engines)}.`)
  }
  for (const engine of engines as readonly (Engine | undefined)[]) {
    if (typeof engine === 'object' && 'acquire' in engine) continue
    throw new TypeError(`engines must hold engines, got ${show(engine)} among them.`)
  }
  if (!NODES.includes(engines.length)) {
    throw new RangeError(
      `A quorum has ${NODES.join(', ')} nodes, got ${engines.length}. An even number survives no ` +
        'more failures than one less, and fewer than three survive none.',
    )
  }
  if (new Set(engines).size < engines.length) {
    throw new RangeError('engines must be different ones, got the same twice.')
  }
}

function defaultNames(engines: readonly Engine[]): string[] {
  return engines.map(({ name }, index) => `${name} ${index + 1}`)
}
