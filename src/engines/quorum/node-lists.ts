import type { Enlisted } from '../../core/engine.ts'
import type { Finding } from '../../core/finding.ts'
import type { Node } from './node.ts'
import type { Parts } from './parts.ts'
import { ask } from './round.ts'

/** How often a list in use is noted again, at the next call. */
const AGAIN_MS = 15_000

/** A note is one of a list in use for this long: a few may be missed. */
const KEEP_MS = 3 * AGAIN_MS

/** More than lies between reading a list off the nodes and noting it there. */
const APART_MS = 5_000

/** Stands for a node whose name is not known. */
const UNKNOWN = '-'

/** What a quorum says of itself. */
export interface Self {
  /** Who uses the list, for messages of others. */
  readonly by: string
  /** Is told, once for each, of lists that differ. */
  readonly warn: (finding: Finding) => void
}

type Other = Enlisted['others'][number]

/**
 * Finds out when processes use different lists of nodes. With odd numbers of nodes, lists that
 * differ in anything have majorities that do not meet.
 *
 * Every node has a name of its own that it keeps with its data. A process notes the names of its
 * nodes at all of them and reads which other lists were noted.
 */
export class NodeLists {
  readonly #parts: Parts
  readonly #self: Self
  /** By node, where it answered last: a node that gives no answer may have another by now. */
  readonly #names = new Map<Node, string>()
  readonly #told = new Set<string>()
  #againAt = Number.NEGATIVE_INFINITY
  #checking: Promise<void> | undefined
  #findings: readonly Finding[] = []

  constructor(parts: Parts, self: Self) {
    this.#parts = parts
    this.#self = self
  }

  /** What the last check found. */
  get findings(): readonly Finding[] {
    return this.#findings
  }

  /** Looks in the background when it is time again; never rejects. */
  touch(): void {
    if (this.#parts.clock.now() >= this.#againAt) void this.check()
  }

  /** Notes the list and looks for others; never rejects. */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  /** Resolves when no check is under way. */
  async rest(): Promise<void> {
    await this.#checking
  }

  async #check(): Promise<void> {
    const { clock, nodes } = this.#parts
    this.#againAt = clock.now() + AGAIN_MS
    const able = nodes.filter(({ engine }) => engine.enlist !== undefined)
    if (able.length === 0) return
    this.#learn(await this.#enlist(able, ''))
    if (this.#names.size === 0) return
    // Only now: a node that lost its data is to be noted under its new name alone.
    const answers = await this.#enlist(able, this.#list)
    this.#learn(answers)
    this.#findings = this.#compare([...answers.values()])
  }

  /** What each node says that answers in time. */
  async #enlist(able: readonly Node[], list: string): Promise<ReadonlyMap<Node, Enlisted>> {
    const { random } = this.#parts
    const entry = { list, by: this.#self.by, keepMs: KEEP_MS }
    const answers = new Map<Node, Enlisted>()
    const round = ask(
      able,
      this.#parts,
      async (node) => {
        const answer = await node.engine.enlist?.({ ...entry, node: random.identity() })
        if (answer !== undefined) answers.set(node, answer)
      },
      (_, final) => final || undefined,
    )
    await round.decision
    return new Map(answers)
  }

  #learn(answers: ReadonlyMap<Node, Enlisted>): void {
    this.#names.clear()
    for (const [node, { node: name }] of answers) this.#names.set(node, name)
  }

  /** The list as it is noted, the same in every order. */
  get #list(): string {
    const names = this.#parts.nodes.map((node) => this.#names.get(node) ?? UNKNOWN)
    return names.sort().join(' ')
  }

  #compare(answers: readonly Enlisted[]): readonly Finding[] {
    // A note from about when a node got its name may be of this list, with its name before.
    const youngestMs = Math.min(...answers.map(({ nodeMs }) => nodeMs)) - APART_MS
    const others = new Map<string, Other>()
    for (const other of answers.flatMap((answer) => answer.others)) {
      if (other.agoMs >= youngestMs || other.agoMs > KEEP_MS || this.#mayBeOurs(other)) continue
      const known = others.get(other.list)
      if (known === undefined || other.agoMs < known.agoMs) others.set(other.list, other)
    }
    const findings = new Map<string, Finding>()
    for (const other of others.values()) {
      const finding = this.#finding(other)
      findings.set(finding.seen, finding)
      if (this.#told.has(other.list)) continue
      this.#told.add(other.list)
      this.#self.warn(finding)
    }
    return [...findings.values()]
  }

  /** Whether another list can be this one, given what neither knows. */
  #mayBeOurs({ list }: Other): boolean {
    const { nodes } = this.#parts
    const names = list.split(' ')
    if (names.length !== nodes.length) return false
    const all = new Set([...names.filter((name) => name !== UNKNOWN), ...this.#names.values()])
    return all.size <= nodes.length
  }

  #finding({ list, by }: Other): Finding {
    const { nodes } = this.#parts
    const names = list.split(' ')
    const apart = nodes.filter((node) => {
      const name = this.#names.get(node)
      return name !== undefined && !names.includes(name)
    })
    const which = apart.map(({ name }) => name).join(', ')
    const lacks = apart.length === 0 ? '' : `, without ${which}`
    return {
      code: 'quorum-lists',
      severity: 'danger',
      seen:
        `Two lists of nodes are in use for the same locks: this process has ${nodes.length} ` +
        `nodes, and ${by} has a list of ${names.length}${lacks}.`,
      endangers:
        'A majority of the one need not meet a majority of the other: both can grant one lock at ' +
        'the same time, and fences are drawn apart.',
      advice:
        'Give every process the same nodes. To change the list, stop all processes that have the ' +
        'old one before the first starts with the new one (docs/quorum.md).',
    }
  }
}
