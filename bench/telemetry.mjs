#!/usr/bin/env node
/**
 * What telemetry costs one acquire and release of a free mutex on the memory engine, the fastest
 * there is: nobody watches, a subscriber of the channels that does nothing, OpenTelemetry's API
 * without an SDK. Rounds are interleaved, so that the machine's moods strike all alike.
 *
 *   npm run build && node --expose-gc --max-semi-space-size=256 bench/telemetry.mjs [other dist]
 *
 * With the `dist` folder of another build, that one is measured in the same rounds.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROUNDS = 21
const PAIRS = 2000

/** @param {string} folder */
async function open(folder) {
  const { connect } = await import(pathToFileURL(resolve(folder, 'index.js')).href)
  const holdfast = await connect('memory:')
  return holdfast.mutex('m')
}

const dist = fileURLToPath(new URL('../dist', import.meta.url))
const { instrument } = await import(pathToFileURL(resolve(dist, 'opentelemetry/index.js')).href)
const mine = await open(dist)
const other = process.argv[2]
const idle = () => {}

const silent = () => () => {}
const watched = () => {
  const names = ['acquire', 'hold', 'renew'].map((kind) => `tracing:holdfast:${kind}:asyncEnd`)
  for (const name of names) subscribe(name, idle)
  return () => {
    for (const name of names) unsubscribe(name, idle)
  }
}

/** @type {{ name: string, mutex: any, start: () => () => void }[]} */
const ways = [
  ...(other === undefined
    ? []
    : [
        { name: 'other build', mutex: await open(other), start: silent },
        { name: 'other build, again', mutex: await open(other), start: silent },
      ]),
  { name: 'nobody watches', mutex: mine, start: silent },
  { name: 'nobody watches, again', mutex: await open(dist), start: silent },
  { name: 'idle subscriber', mutex: mine, start: watched },
  { name: 'OpenTelemetry, no SDK', mutex: mine, start: () => instrument() },
]

/** @param {(typeof ways)[number]} way */
async function round({ mutex, start }) {
  const stop = start()
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  const startedAt = process.hrtime.bigint()
  for (let pair = 0; pair < PAIRS; pair++) {
    const lease = await mutex.acquire()
    await lease.release()
  }
  const took = Number(process.hrtime.bigint() - startedAt)
  const bytes = process.memoryUsage().heapUsed - before
  stop()
  return { nanos: took / PAIRS, bytes: bytes / PAIRS }
}

/** @param {number[]} values */
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN

/** @type {{ nanos: number, bytes: number }[][]} */
const results = ways.map(() => [])
for (let count = -3; count < ROUNDS; count++) {
  // Each round begins elsewhere: who comes first after a pause is not always the same.
  for (let step = 0; step < ways.length; step++) {
    const index = (step + count + 3) % ways.length
    const result = await round(/** @type {(typeof ways)[number]} */ (ways[index]))
    if (count >= 0) results[index]?.push(result)
  }
}
const base = median(results[0]?.map(({ nanos }) => nanos) ?? [])
console.log(`${ROUNDS} rounds of ${PAIRS} pairs, medians; node ${process.version}`)
ways.forEach(({ name }, index) => {
  const nanos = results[index].map((one) => one.nanos)
  const bytes = results[index].map((one) => one.bytes)
  // Of the same round, so that a slow moment of the machine does not count.
  const ratio = median(nanos.map((value, at) => value / (results[0]?.[at]?.nanos ?? base)))
  console.log(
    `${name.padEnd(24)} ${(median(nanos) / 1000).toFixed(2).padStart(7)} µs ` +
      `x${ratio.toFixed(3)}  ${median(bytes).toFixed(0).padStart(6)} bytes`,
  )
})
process.exit()
