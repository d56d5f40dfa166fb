import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { reaper } from '../support/reaper.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

const script = fileURLToPath(new URL('../../examples/schedule/report.mjs', import.meta.url))
const PERIOD_MS = 3000
const MACHINES = 3
const TICKS = 3

/** One process of the example, and what it said: a tick by its number, and whether it ran here. */
class Machine {
  readonly child: ChildProcess
  readonly ticks = new Map<number, boolean>()

  constructor(url: string) {
    const pattern = `*/${PERIOD_MS / 1000} * * * * *`
    this.child = spawn(process.execPath, [script, url, pattern], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (this.child.pid !== undefined) reaper.watchProcess(this.child.pid)
    if (this.child.stdout === null) return
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const [time = '', ...said] = line.split(' ')
      const tick = Math.round(Date.parse(time) / PERIOD_MS)
      this.ticks.set(tick, said.join(' ').startsWith('ran here'))
    })
  }

  async stop(): Promise<unknown> {
    if (this.child.exitCode !== null) return this.child.exitCode
    const exit = once(this.child, 'exit')
    this.child.kill('SIGTERM')
    const [code] = await exit
    if (this.child.pid !== undefined) reaper.forgetProcess(this.child.pid)
    return code
  }
}

describe('examples/schedule', () => {
  let server: RunningServer
  const machines: Machine[] = []

  beforeAll(async () => {
    server = await startServer()
  })

  afterAll(async () => {
    for (const machine of machines) machine.child.kill('SIGKILL')
    await server.stop()
  })

  it('runs on exactly one of three processes at every tick', async () => {
    for (let count = 0; count < MACHINES; count++) machines.push(new Machine(server.url))
    // Ticks that all of them saw; the first ones came before some had started.
    const common = () =>
      [...(machines[0]?.ticks.keys() ?? [])].filter((tick) =>
        machines.every(({ ticks }) => ticks.has(tick)),
      )
    await until(() => common().length >= TICKS, {
      what: `${TICKS} ticks of ${MACHINES} processes`,
      timeoutMs: 50_000,
    })
    for (const tick of common()) {
      const runs = machines.filter(({ ticks }) => ticks.get(tick))
      expect(runs.length, `processes that ran tick ${tick}`).toBe(1)
    }
    expect(await Promise.all(machines.map((machine) => machine.stop()))).toEqual([0, 0, 0])
  })
})
