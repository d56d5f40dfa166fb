/** A Prometheus for the dashboard: obtained like the test servers, and asked what Grafana asks. */
import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cacheFolder } from './servers.mjs'
import { debianArchive, privateApt } from './servers-debian.mjs'

const run = promisify(execFile)
const dashboard = fileURLToPath(new URL('../docs/dashboards/holdfast.json', import.meta.url))

/** @type {typeof import('./prometheus.d.mts').obtainPrometheus} */
export async function obtainPrometheus() {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((one) => join(one, 'prometheus'))
  const cached = join(cacheFolder(), 'prometheus', 'usr/bin/prometheus')
  const found = [...onPath, cached].find((bin) => existsSync(bin))
  if (found) return found
  const scratch = join(cacheFolder(), `.scratch-${process.pid}-${randomUUID()}`)
  await mkdir(join(scratch, 'debs'), { recursive: true })
  try {
    // It needs no library but the C library of this machine, and none of its web pages' scripts.
    const apt = await privateApt(join(scratch, 'apt'), 'bookworm', debianArchive())
    const [main] = await apt.closure(['prometheus'], false)
    if (!main) throw new Error('Debian has no prometheus')
    await apt.download([main], join(scratch, 'debs'))
    for (const deb of await readdir(join(scratch, 'debs'))) {
      await run('dpkg-deb', ['-x', join(scratch, 'debs', deb), join(scratch, 'root')])
    }
    await run(join(scratch, 'root/usr/bin/prometheus'), ['--version'])
    await rename(join(scratch, 'root'), join(cacheFolder(), 'prometheus'))
  } catch (error) {
    // Another run may have been faster.
    if (!existsSync(cached)) throw error
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  return cached
}

/** @type {typeof import('./prometheus.d.mts').startPrometheus} */
export async function startPrometheus({ bin, targets, folder }) {
  const port = await freePort()
  const config = join(folder, 'prometheus.yml')
  await writeFile(
    config,
    JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [{ job_name: 'holdfast', static_configs: [{ targets }] }],
    }),
  )
  const child = spawn(
    bin,
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const url = `http://127.0.0.1:${port}`
  for (let tries = 0; !(await isReady(url)); tries++) {
    if (child.exitCode !== null || tries > 600) {
      kill()
      throw new Error(`prometheus did not start (exit code ${child.exitCode})`)
    }
    await wait(100)
  }
  return {
    url,
    query: (expression) => ask(`${url}/api/v1/query`, { query: expression }),
    queryRange: (expression, { start, end, step }) =>
      ask(`${url}/api/v1/query_range`, {
        query: expression,
        start: String(start),
        end: String(end),
        step: String(step),
      }),
    async stop() {
      process.removeListener('exit', kill)
      kill()
      await ended
    },
  }
}

/** @param {string} url */
async function isReady(url) {
  try {
    return (await fetch(`${url}/-/ready`)).ok
  } catch {
    return false
  }
}

/**
 * @param {string} url
 * @param {Record<string, string>} parameters
 * @returns {Promise<import('./prometheus.d.mts').PrometheusSeries[]>}
 */
async function ask(url, parameters) {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(parameters) })
  const answer = await response.json()
  const { query } = parameters
  if (answer.status !== 'success') throw new Error(`${answer.error}, asked ${query}`)
  /** @param {[number, string]} point */
  const point = ([time, value]) => /** @type {const} */ ([time, Number(value)])
  return answer.data.result.map(
    (
      /** @type {{ metric: any, value?: [number, string], values?: [number, string][] }} */ one,
    ) => ({
      metric: one.metric,
      values: (one.values ?? (one.value ? [one.value] : [])).map(point),
    }),
  )
}

/** @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

/** @type {typeof import('./prometheus.d.mts').dashboardPanels} */
export function dashboardPanels({ rate, range }) {
  const { panels } = JSON.parse(readFileSync(dashboard, 'utf8'))
  /** @param {string} expression */
  const filled = (expression) =>
    expression
      .replaceAll('$__rate_interval', rate)
      .replaceAll('$__range', range)
      .replaceAll(/\$(engine|kind|job|instance)\b/g, '.*')
  return panels.map((/** @type {any} */ { title, type, fieldConfig, targets }) => ({
    title,
    type,
    unit: fieldConfig.defaults.unit,
    stacked: fieldConfig.defaults.custom.stacking?.mode === 'normal',
    queries: targets.map((/** @type {any} */ { expr, legendFormat }) => ({
      expression: filled(expr),
      legend: legendFormat,
    })),
  }))
}
