#!/usr/bin/env node
/**
 * Makes docs/dashboards/holdfast.svg: real processes take locks on a real server, a real Prometheus
 * scrapes them, and what it answers to the queries of docs/dashboards/holdfast.json is drawn. The
 * load grows, the server stands still for some seconds, and locks are broken by force.
 *
 *   npm run build && node scripts/dashboard.mjs [seconds]
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { drawDashboard } from './dashboard-chart.mjs'
import { dashboardPanels, freePort, obtainPrometheus, startPrometheus } from './prometheus.mjs'
import { findAnyServer } from './servers.mjs'

const seconds = Number(process.argv[2] ?? 180)
const root = fileURLToPath(new URL('..', import.meta.url))
const picture = join(root, 'docs/dashboards/holdfast.svg')
if (!existsSync(join(root, 'dist'))) throw new Error('dist/ is missing: run `npm run build`')

const folder = mkdtempSync(join(tmpdir(), 'holdfast-dashboard-'))
/** @type {import('node:child_process').ChildProcess[]} */
const children = []
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** @param {string} command @param {string[]} args */
function start(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'], cwd: folder })
  children.push(child)
  return child
}

const server = await findAnyServer()
const port = await freePort()
const redis = start(server.bin, ['--port', String(port), '--save', '', '--bind', '127.0.0.1'])
const url = `redis://127.0.0.1:${port}`
const worker = join(root, 'scripts/dashboard-worker.mjs')
await wait(1000)
const ports = [await freePort(), await freePort(), await freePort()]
const workers = ports.map((own) => start(process.execPath, [worker, url, String(own)]))
const targets = ports.map((own) => `127.0.0.1:${own}`)
const prometheus = await startPrometheus({ bin: await obtainPrometheus(), targets, folder })
const startedAt = Date.now() / 1000
console.log(`${server.name}, ${workers.length} processes, ${prometheus.url}, for ${seconds} s`)

await wait(seconds * 400)
for (const one of workers) one.kill('SIGUSR2')
await wait(seconds * 250)
console.log('the server stands still')
redis.kill('SIGSTOP')
await wait(6000)
redis.kill('SIGCONT')
await wait(seconds * 150)
console.log('locks are broken by force')
await breakLocks()
await wait(seconds * 200)
await draw()
await prometheus.stop()
process.exit()

/** Breaks what is held, again and again, so that some leases are long enough to be told. */
async function breakLocks() {
  const { connect } = await import(new URL('../dist/index.js', import.meta.url).href)
  const holdfast = await connect(url)
  for (let times = 0; times < 2; times++) {
    for await (const name of holdfast.names()) await holdfast.forceRelease(name)
    await wait(2000)
  }
  await holdfast.close()
}

async function draw() {
  const end = Date.now() / 1000
  const times = { rate: '10s', range: `${Math.round(end - startedAt)}s` }
  const answered = await Promise.all(
    dashboardPanels(times).map(async (panel) => {
      const lines = await Promise.all(
        panel.queries.map(async ({ expression, legend }) => {
          const range = { start: startedAt + 10, end, step: 1 }
          const series =
            panel.type === 'stat'
              ? await prometheus.query(expression)
              : await prometheus.queryRange(expression, range)
          return series.map((one) => ({ legend: name(legend, one.metric), series: one }))
        }),
      )
      return { panel, lines: lines.flat() }
    }),
  )
  for (const { panel, lines } of answered) {
    if (lines.length === 0) throw new Error(`the panel "${panel.title}" stays empty`)
    const most = lines.map(({ legend, series }) => {
      const values = series.values.map(([, value]) => value).filter(Number.isFinite)
      return `${legend} ${Math.max(...values).toPrecision(3)}`
    })
    console.log(`${panel.title}, at most: ${most.join(', ')}`)
  }
  writeFileSync(picture, drawDashboard(answered))
  console.log(picture)
}

/** @param {string} legend @param {Readonly<Record<string, string>>} labels */
function name(legend, labels) {
  return legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => labels[label] ?? '')
}
