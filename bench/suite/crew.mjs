import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { instant } from './lanes.mjs'
import { overlapping, overlapsIn } from './overlap.mjs'

const script = fileURLToPath(new URL('worker.mjs', import.meta.url))

/** Processes that play one contender against each other. */
export class Crew {
  #children

  constructor(contender, children) {
    this.contender = contender
    this.#children = children
  }

  /** `options` are those of the contender's `open`. */
  static async start(contender, size, options) {
    const children = Array.from({ length: size }, (_, index) => {
      const job = { contender: contender.name, index, size, ...options }
      return fork(script, [JSON.stringify(job)], { serialization: 'advanced' })
    })
    const crew = new Crew(contender, children)
    for (const child of children) {
      child.once('exit', (code) => {
        if (code) console.error(`a worker of ${contender.name} ended with ${code}`)
      })
    }
    await Promise.all(children.map(answerOf))
    return crew
  }

  get size() {
    return this.#children.length
  }

  /** Gives every process the order, and waits for all. */
  async order(order, details) {
    return await Promise.all(
      this.#children.map(async (child, index) => {
        child.send({ order, ...(typeof details === 'function' ? details(index) : details) })
        return await answerOf(child)
      }),
    )
  }

  /** All at once, for a time or for one turn each; gives the turns in the order of time. */
  async contend(order, details) {
    const startAt = instant() + 20e6
    const reports = await this.order(order, { ...details, startAt })
    return { startAt, ...this.#checked(reports) }
  }

  /** Each process on free locks of its own; gives what they did in all. */
  async free(details) {
    const reports = await this.order('free', details)
    const overlaps = reports.reduce((sum, report) => sum + report.overlaps, 0)
    if (overlaps > 0) throw overlapping(this.contender.name, overlaps)
    return {
      pairs: reports.reduce((sum, { pairs }) => sum + pairs, 0),
      ms: Math.max(...reports.map(({ ms }) => ms)),
    }
  }

  /** Each process on a lock of its own, whether others want it or not. */
  async apart(order, detailsOf) {
    const startAt = instant() + 20e6
    const reports = await this.order(order, (index) => ({ ...detailsOf(index), startAt }))
    return reports.map((report) => this.#checked([report]))
  }

  #checked(reports) {
    const turns = reports.flatMap((report, at) => turnsOf(report.turns, at))
    turns.sort((one, other) => one.from - other.from)
    const overlaps = overlapsIn(turns)
    if (overlaps > 0) throw overlapping(this.contender.name, overlaps)
    const cpuUs = reports.reduce((sum, report) => sum + report.cpuUs, 0)
    const grants = reports.reduce((sum, report) => sum + (report.grants ?? 0), 0)
    return { turns, cpuUs, grants, ms: Math.max(...reports.map(({ ms }) => ms)) }
  }

  async stop() {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const gone = once(child, 'exit')
        child.send(null)
        // Whoever still polls would not end by itself.
        const force = setTimeout(() => child.kill('SIGKILL'), 1000)
        await gone
        clearTimeout(force)
      }),
    )
  }

  kill() {
    for (const child of this.#children) child.kill('SIGKILL')
  }
}

async function answerOf(child) {
  const answer = await new Promise((resolve, reject) => {
    const ended = (code) => reject(new Error(`a worker ended with ${code} before it answered`))
    child.once('exit', ended)
    child.once('message', (message) => {
      child.off('exit', ended)
      resolve(message)
    })
  })
  if (answer.failed !== undefined) throw new Error(`in a worker: ${answer.failed}`)
  return answer
}

function turnsOf(flat, process) {
  const turns = []
  for (let at = 0; at < flat.length; at += 3) {
    turns.push({ from: flat[at], to: flat[at + 1], fence: flat[at + 2], process })
  }
  return turns
}
