import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Proxy } from '../support/proxy.ts'
import { reaper } from '../support/reaper.ts'
import { randomFrom } from '../support/until.ts'
import { compiledLibrary } from '../support/workers.ts'
import { SetClock } from './clock-shim.ts'
import { Crew, layCounter, moment, type Slot } from './crew.ts'
import type { Fault, Scene } from './fault.ts'
import { type Ground, openGround, shimmed } from './ground.ts'
import { judge, type ResourceReport, type Strike, type Verdict } from './judge.ts'
import { leftovers } from './leftovers.ts'
import { openResource } from './resource-client.mjs'
import type { Scenario } from './scenario.ts'

export interface RunOptions {
  readonly seed: number
  /** How many strikes of each fault, in all. */
  readonly strikes: number
  /** No strike begins later than this. */
  readonly forMs: number
  /** What is added to the time in which service has to resume, for a machine that is shared. */
  readonly slackMs?: number
  readonly tell?: (line: string) => void
}

export interface Outcome extends Verdict {
  readonly scenario: Scenario
  readonly seed: number
  readonly tookMs: number
  /** The servers, with their version. */
  readonly title: string
  readonly strikesByKind: ReadonlyMap<string, number>
  /** In how much time service had to resume. */
  readonly recoveryMs: number
}

const maker = (name: string): string => fileURLToPath(new URL(`${name}.mjs`, import.meta.url))
const resourceScript = fileURLToPath(new URL('resource.mjs', import.meta.url))

/** Stands up what a scenario names, lets faults strike it, and has it judged. */
export async function run(scenario: Scenario, options: RunOptions): Promise<Outcome> {
  const startedAt = moment()
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-chaos-'))
  reaper.watchFolder(folder)
  const library = await compiledLibrary()
  const network = scenario.faults.some(({ ofNetwork }) => ofNetwork)
  const ground = await openGround(scenario.ground, folder, network)
  let resource: Resource | undefined
  let crew: Crew | undefined
  try {
    resource = await startResource(folder, scenario.checksFence ?? true)
    crew = new Crew({
      ...scenario.work,
      folder,
      library,
      maker: maker(scenario.maker ?? 'holdfast-maker'),
      resource: resource.path,
      client: scenario.client ?? 'a URL',
      options: { ...TIMES, ...scenario.options, ttlMs: scenario.ttlMs },
    })
    const laboratory = new Laboratory(scenario, ground, crew, folder, options)
    const lags = watchLag()
    const strikes = await laboratory.perform()
    lags.stop()
    const left = await leftovers(ground, library, laboratory.locks, scenario)
    const verdict = judge({
      journals: crew.journals(),
      ends: crew.ends,
      strikes,
      resource: await resource.report(),
      leftovers: left,
      lags: lags.all,
      ttlMs: scenario.ttlMs,
      recoveryMs: laboratory.recoveryMs,
      mayOverlap: scenario.faults.some(({ breaksExclusion }) => breaksExclusion),
    })
    const strikesByKind = new Map<string, number>()
    for (const { kind } of strikes) strikesByKind.set(kind, (strikesByKind.get(kind) ?? 0) + 1)
    const { seed } = options
    const tookMs = moment() - startedAt
    const { title } = ground
    const { recoveryMs } = laboratory
    return { ...verdict, scenario, seed, tookMs, title, strikesByKind, recoveryMs }
  } finally {
    await crew?.stop()
    resource?.stop()
    await ground.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Everything takes less time than by default, as leases do. */
const TIMES = { commandTimeoutMs: 250, connectTimeoutMs: 1000, requestTimeoutMs: 1500 }

/** The time that a look at a lease that is over may come late: timers, two exchanges, a handoff. */
const LOOK_MS = 250

class Laboratory {
  readonly locks: readonly string[]
  readonly recoveryMs: number
  readonly #scenario: Scenario
  readonly #ground: Ground
  readonly #crew: Crew
  readonly #folder: string
  readonly #options: RunOptions
  readonly #strikes: Strike[] = []
  readonly #networks = new Map<number, readonly Proxy[]>()
  readonly #clocks = new Map<number, SetClock>()
  readonly #random: () => number
  readonly #left = new Map<Fault, number>()
  #endMs = 0

  constructor(scenario: Scenario, ground: Ground, crew: Crew, folder: string, options: RunOptions) {
    this.#scenario = scenario
    this.#ground = ground
    this.#crew = crew
    this.#folder = folder
    this.#options = options
    this.#random = randomFrom(options.seed)
    this.locks = Array.from({ length: scenario.groups }, (_, group) => `lock-${group}`)
    const further = scenario.faults.map(({ furtherMs = 0 }) => furtherMs)
    const { slackMs = 0 } = options
    this.recoveryMs = 2 * scenario.ttlMs + LOOK_MS + Math.max(0, ...further) + slackMs
    for (const fault of scenario.faults) this.#left.set(fault, options.strikes)
  }

  async perform(): Promise<Strike[]> {
    const { groups, processes, faults } = this.#scenario
    for (const lock of this.locks) layCounter(this.#crew.counterOf(lock))
    const clocks = faults.some(({ needs }) => needs === 'workers with clocks')
    for (let index = 0; index < groups * processes; index += 1) await this.#hire(index, clocks)
    await this.#crew.ready()
    this.#endMs = moment() + this.#options.forMs
    const ofGroup = faults.filter(({ scope }) => scope === 'group')
    const ofAll = faults.filter(({ scope }) => scope === 'all')
    const loops = this.locks.map((lock) => this.#injectInto([lock], ofGroup))
    await Promise.all([...loops, this.#injectInto(this.locks, ofAll)])
    if (faults.length === 0) await wait(this.#endMs - moment())
    await this.#recovered(this.locks, this.#strikes.at(-1)?.until ?? moment())
    const { patienceMs = this.recoveryMs + TIMES.requestTimeoutMs + 10_000 } = this.#scenario
    await this.#crew.drain(patienceMs)
    return this.#strikes
  }

  async #hire(index: number, clocks: boolean): Promise<void> {
    const { url, proxies } = await this.#ground.way()
    this.#networks.set(index, proxies)
    const lock = this.locks[index % this.locks.length] ?? ''
    if (!clocks) return this.#crew.add(lock, url)
    const clock = new SetClock(this.#folder, `worker-${index}`)
    this.#clocks.set(index, clock)
    this.#crew.add(lock, url, await shimmed(clock))
  }

  async #injectInto(locks: readonly string[], faults: readonly Fault[]): Promise<void> {
    let vain = 0
    while (moment() < this.#endMs) {
      const open = faults.filter((fault) => (this.#left.get(fault) ?? 0) > 0)
      const fault = open[Math.floor(this.#random() * open.length)]
      if (fault === undefined) return
      this.#left.set(fault, (this.#left.get(fault) ?? 0) - 1)
      const called = moment()
      const struck = await fault.strike(this.#scene(locks))
      if (struck === undefined) {
        this.#left.set(fault, (this.#left.get(fault) ?? 0) + 1)
        vain += 1
        if (vain > 2000) throw new Error(`${fault.kind} never finds anybody to strike`)
        await wait(5)
        continue
      }
      const { from = called, until = moment(), process } = struck
      this.#strikes.push({ kind: fault.kind, from, until, locks, ...(process ? { process } : {}) })
      this.#progress(fault)
      // Most faults find the locks at work; some come while others are being got over.
      if (this.#random() < 0.8) await this.#recovered(locks, until)
      await wait(this.#random() * this.#scenario.gapMs)
    }
  }

  /** Waits, but not for ever, until each lock was taken again; the judge measures it. */
  async #recovered(locks: readonly string[], since: number): Promise<void> {
    const giveUp = moment() + 3 * this.recoveryMs
    while (moment() < giveUp) {
      if (locks.every((lock) => this.#crew.enteredAt(lock) > since)) return
      await wait(20)
    }
  }

  #scene(locks: readonly string[]): Scene {
    return {
      ground: this.#ground,
      crew: this.#crew,
      locks,
      ttlMs: this.#scenario.ttlMs,
      random: this.#random,
      networkOf: (slot: Slot) => this.#networks.get(slot.index) ?? [],
      clockOf: (slot: Slot) => this.#clocks.get(slot.index),
      wait: (ms) => wait(ms),
    }
  }

  #progress({ kind }: Fault): void {
    const count = this.#strikes.length
    if (count % 50 === 0) this.#options.tell?.(`${this.#scenario.name}: ${count} strikes (${kind})`)
  }
}

/** Notes when this process did not run: the network of the workers goes through it. */
function watchLag(): { readonly all: { at: number; ms: number }[]; stop(): void } {
  const all: { at: number; ms: number }[] = []
  let beat = moment()
  const timer = setInterval(() => {
    const at = moment()
    if (at - beat > 30) all.push({ at, ms: at - beat - 20 })
    beat = at
  }, 20)
  return { all, stop: () => clearInterval(timer) }
}

interface Resource {
  readonly path: string
  report(): Promise<ResourceReport>
  stop(): void
}

async function startResource(folder: string, checks: boolean): Promise<Resource> {
  const path = join(folder, 'resource')
  const child: ChildProcess = spawn(
    process.execPath,
    [resourceScript, JSON.stringify({ path, checks })],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  if (child.pid !== undefined) reaper.watchProcess(child.pid)
  if (child.stdout) await once(child.stdout, 'data')
  return {
    path,
    async report() {
      const client = await openResource(path)
      const report = (await client.report()) as ResourceReport
      client.close()
      return report
    },
    stop() {
      if (child.pid !== undefined) reaper.forgetProcess(child.pid)
      child.kill('SIGKILL')
    },
  }
}
