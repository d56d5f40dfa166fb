/**
 * One process of the run behind the dashboard's picture: takes locks on the server of the given
 * URL and serves its metrics on the given port. Each SIGUSR2 makes it busier.
 */

import { setTimeout as wait } from 'node:timers/promises'
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus'
import { MeterProvider } from '@opentelemetry/sdk-metrics'

const [url = '', port = '0'] = process.argv.slice(2)
/** @param {string} path */
const dist = (path) => import(new URL(`../dist/${path}`, import.meta.url).href)
const { connect, HoldfastError } = await dist('index.js')
const { instrument } = await dist('opentelemetry/index.js')

const exporter = new PrometheusExporter({ host: '127.0.0.1', port: Number(port) })
instrument({
  meterProvider: new MeterProvider({ readers: [exporter] }),
  lockName: (/** @type {string} */ name) => name.split(':')[0],
})
const holdfast = await connect(url, { ttlMs: 3000, requestTimeoutMs: 1000 })
let pace = 1
process.on('SIGUSR2', () => {
  pace += 1
})
process.on('SIGTERM', () => process.exit())

/** @param {number} most */
const random = (most) => Math.floor(Math.random() * most)
const locks = [
  () => holdfast.mutex('report:daily'),
  () => holdfast.mutex(`invoice:${random(20)}`),
  () => holdfast.mutex('cache:rates'),
  () => holdfast.semaphore('gpu:all', { capacity: 2 }),
  () => holdfast.readWriteLock('config:main').read,
]

/** @param {any} lock @param {number} holdMs */
async function once(lock, holdMs) {
  try {
    await lock.run(() => wait(holdMs), { timeoutMs: 4000 })
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
  }
}

/** Short work, as of requests. */
async function serve() {
  for (;;) {
    await wait(random(1000) / pace)
    await once(/** @type {() => any} */ (locks[random(locks.length)])(), random(250))
  }
}

/** Long work that is renewed, as of jobs. */
async function toil() {
  for (;;) await once(holdfast.mutex(`import:${process.pid}`), 9000 + random(6000))
}
await Promise.all([toil(), ...Array.from({ length: 5 }, serve)])
