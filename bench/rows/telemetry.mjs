import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { door } from '../contenders/holdfast.mjs'
import { collect } from '../suite/collect.mjs'
import { otherFolder } from '../suite/library.mjs'
import { interleave, measured, ratio } from '../suite/rounds.mjs'

const idle = () => {}

/** Somebody listens to every channel and does nothing. */
function watched() {
  const names = ['acquire', 'hold', 'renew'].map((kind) => `tracing:holdfast:${kind}:asyncEnd`)
  for (const name of names) subscribe(name, idle)
  return () => {
    for (const name of names) unsubscribe(name, idle)
  }
}

async function mutexOf(folder) {
  const { connect } = await door('index.js', folder)
  return (await connect('memory:')).mutex('m')
}

const NOBODY = 'nobody watches'

async function ways() {
  const { instrument } = await door('opentelemetry/index.js')
  const mutex = await mutexOf()
  const silent = () => idle
  const list = [
    { name: NOBODY, kind: 'floor', mutex, start: silent },
    // How far two that are the same differ is how much a difference means.
    { name: `${NOBODY}, again`, kind: 'holdfast', mutex: await mutexOf(), start: silent },
    { name: 'idle subscriber', kind: 'holdfast', mutex, start: watched },
    { name: 'OpenTelemetry, no SDK', kind: 'holdfast', mutex, start: () => instrument() },
  ]
  const other = otherFolder()
  if (!other) return list
  return [
    ...list,
    { name: 'other build', kind: 'holdfast', mutex: await mutexOf(other), start: silent },
  ]
}

export const telemetry = {
  name: 'telemetry',
  long: true,
  title: 'What telemetry costs a take and release on the memory engine, the fastest there is',
  ratio: 'of the time while nobody watches',
  columns: [
    { key: 'us', label: 'µs per pair', digits: 2 },
    { key: 'bytes', label: 'bytes per pair' },
  ],
  chart: { better: 'lower' },
  async run(bench) {
    const contenders = await ways()
    const pairs = bench.quick ? 1000 : 5000
    const results = await interleave({
      contenders,
      rounds: bench.rounds(21, 41),
      warmUp: 5,
      ...bench.pace,
      async turn({ mutex, start }) {
        const stop = start()
        collect()
        const before = process.memoryUsage().heapUsed
        const from = performance.now()
        for (let pair = 0; pair < pairs; pair++) {
          const lease = await mutex.acquire()
          await lease.release()
        }
        const us = ((performance.now() - from) / pairs) * 1000
        const bytes = (process.memoryUsage().heapUsed - before) / pairs
        stop()
        return { us, bytes }
      },
    })
    const entries = contenders.map(({ name, kind }) => ({
      contender: name,
      kind,
      values: { us: measured(results, name, 'us'), bytes: measured(results, name, 'bytes') },
      ratio: ratio(results, name, NOBODY, 'us'),
    }))
    return { entries, verdicts: [] }
  },
}
