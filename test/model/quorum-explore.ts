import { type Config, type Flaw, Machine, type Step } from './quorum-protocol.ts'

/** What an exploration found. */
export interface Finding {
  readonly flaw: Flaw
  /** What happened, in order. */
  readonly trace: readonly string[]
}

export interface Exploration {
  readonly states: number
  readonly found: Finding | undefined
}

/** Visits every state that can be reached, and stops at the first flaw. */
export function explore(config: Config): Exploration {
  const machine = new Machine(config)
  const start = machine.start()
  const seen = new Set([machine.key(start)])
  const path: { readonly steps: readonly Step[]; next: number }[] = [
    { steps: machine.steps(start), next: 0 },
  ]
  for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
    const step = top.steps[top.next++]
    if (step === undefined) {
      path.pop()
      continue
    }
    if (step.flaw !== undefined) {
      const trace = path.map(({ steps, next }) => (steps[next - 1] as Step).label)
      return { states: seen.size, found: { flaw: step.flaw, trace } }
    }
    const key = machine.key(step.state)
    if (seen.has(key)) continue
    seen.add(key)
    path.push({ steps: machine.steps(step.state), next: 0 })
  }
  return { states: seen.size, found: undefined }
}

/** One walk through the states by chance, until it ends or a flaw shows. */
export function walk(config: Config, random: () => number, most: number): Finding | undefined {
  const machine = new Machine(config)
  let state = machine.start()
  const trace: string[] = []
  for (let taken = 0; taken < most; taken++) {
    const steps = machine.steps(state)
    const step = steps[Math.floor(random() * steps.length)]
    if (step === undefined) return undefined
    trace.push(step.label)
    if (step.flaw !== undefined) return { flaw: step.flaw, trace }
    state = step.state
  }
  return undefined
}
