import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { connect, type Holdfast } from 'holdfast'
import { instrument } from 'holdfast/opentelemetry'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  dashboardPanels,
  freePort,
  obtainPrometheus,
  type RunningPrometheus,
  startPrometheus,
} from '../../scripts/prometheus.mjs'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

const binary = await obtainPrometheus().catch((error: unknown) => {
  console.warn(`NO PROMETHEUS: the dashboard's queries are not asked. ${String(error)}`)
  return undefined
})
const panels = dashboardPanels({ rate: '4s', range: '60s' })
const queries = panels.flatMap(({ title, queries: own }) =>
  own.map(({ expression }) => ({ title, expression })),
)

describe('the dashboard', () => {
  let server: RunningServer
  let holdfast: Holdfast
  let meters: MeterProvider
  let end: () => void
  let url: string
  let port: number

  beforeAll(async () => {
    port = await freePort()
    const exporter = new PrometheusExporter({ host: '127.0.0.1', port })
    url = `http://127.0.0.1:${port}/metrics`
    meters = new MeterProvider({ readers: [exporter] })
    end = instrument({ meterProvider: meters, lockName: (name) => name })
    server = await startServer()
    holdfast = await connect(server.url)
    await story()
  })
  afterAll(async () => {
    end()
    await holdfast.close()
    await meters.shutdown()
    await server.stop()
  })

  /** Something of everything that the panels show. */
  async function story(): Promise<void> {
    const lease = await holdfast.mutex('m').acquire()
    await lease.renew()
    await expect(holdfast.mutex('m').acquire({ timeoutMs: 20 })).rejects.toThrow()
    await lease.release()
    const broken = await holdfast.mutex('m').acquire()
    await holdfast.forceRelease('m')
    await expect(broken.renew()).rejects.toThrow()
  }

  /** What the real exporter says: the labels of each metric. */
  async function exported(): Promise<Map<string, Set<string>>> {
    const found = new Map<string, Set<string>>()
    for (const [, name = '', labels = ''] of (await (await fetch(url)).text()).matchAll(
      /^(holdfast_\w+)\{([^}]*)\}/gm,
    )) {
      const known = found.get(name) ?? new Set()
      found.set(name, known)
      for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label)
    }
    return found
  }

  it.each(queries)('asks only for what is exported: $title, $expression', async (query) => {
    const metrics = await exported()
    const { expression } = query
    const wanted = [...expression.matchAll(/(?:__name__=~"(holdfast[^"]+)"|\b(holdfast\w+)\{)/g)]
    expect(wanted).toHaveLength(1)
    const [, pattern, plain] = wanted[0] ?? []
    const exact = new RegExp(`^(?:${pattern ?? plain})$`)
    const name = [...metrics.keys()].find((each) => exact.test(each))
    expect(name, `${exact} among ${[...metrics.keys()].join()}`).toBeDefined()
    // Added by whoever scrapes.
    const labels = new Set([
      ...(metrics.get(name ?? '') ?? []),
      '__name__',
      'job',
      'instance',
      'le',
    ])
    const used = [...expression.matchAll(/(\w+)(?:=~|!=|=)"/g)].map(([, label = '']) => label)
    const grouped = [...expression.matchAll(/ by \(([^)]*)\)/g)].map(([, label = '']) => label)
    expect([...used, ...grouped].filter((label) => !labels.has(label))).toEqual([])
  })

  it('asks for every metric there is', async () => {
    const all = new Set([...(await exported()).keys()].map((name) => name.replace(/_sum$/, '')))
    const asked = (name: string) =>
      queries.some(({ expression }) =>
        expression.replaceAll('(_seconds)?', '').includes(name.replace(/_(bucket|count)$/, '')),
      )
    expect(all.size).toBeGreaterThan(10)
    expect([...all].filter((name) => !asked(name))).toEqual([])
  })

  describe.skipIf(binary === undefined)('on a real Prometheus', () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-prometheus-'))
    let prometheus: RunningPrometheus
    let working = true
    let work: Promise<void>

    beforeAll(async () => {
      const targets = [`127.0.0.1:${port}`]
      prometheus = await startPrometheus({ bin: binary ?? '', targets, folder })
      work = (async () => {
        while (working) await story()
      })()
    })
    afterAll(async () => {
      working = false
      await work
      await prometheus.stop()
      rmSync(folder, { recursive: true, force: true })
    })

    it.each(queries)('gets an answer: $title, $expression', async ({ expression }) => {
      await until(
        async () => {
          const series = await prometheus.query(expression)
          return series.some(({ values }) => values.some(([, value]) => Number.isFinite(value)))
        },
        { what: `an answer to ${expression}`, timeoutMs: 25_000, everyMs: 100 },
      )
    })
  })
})
