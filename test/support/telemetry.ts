import type { Attributes } from '@opentelemetry/api'
import {
  AggregationTemporality,
  type DataPoint,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { type InstrumentOptions, instrument } from 'holdfast/opentelemetry'

/** One series of a metric. */
export interface Series {
  readonly attributes: Attributes
  /** The count of a counter; of a histogram, how often and how much in all. */
  readonly value: number | { readonly count: number; readonly sum: number }
}

/** OpenTelemetry's own SDK, which keeps what Holdfast reports to it. */
export class Reports {
  readonly tracers: BasicTracerProvider
  readonly #spans = new InMemorySpanExporter()
  readonly #metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  readonly #reader: PeriodicExportingMetricReader
  readonly #meters: MeterProvider
  /** Ends the instrumentation. */
  readonly end: () => void

  constructor(options: InstrumentOptions = {}) {
    this.tracers = new BasicTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(this.#spans)],
    })
    this.#reader = new PeriodicExportingMetricReader({
      exporter: this.#metrics,
      exportIntervalMillis: 2 ** 31 - 1,
    })
    this.#meters = new MeterProvider({ readers: [this.#reader] })
    this.end = instrument({ tracerProvider: this.tracers, meterProvider: this.#meters, ...options })
  }

  /** Spans that have ended, in the order in which they did. */
  get spans(): readonly ReadableSpan[] {
    return this.#spans.getFinishedSpans()
  }

  /** The one ended span of this name. */
  span(name: string): ReadableSpan {
    const found = this.spans.filter((span) => span.name === name)
    const [first] = found
    if (first === undefined || found.length > 1) {
      const names = this.spans.map((span) => span.name)
      throw new Error(`expected one span "${name}" in ${JSON.stringify(names)}`)
    }
    return first
  }

  /** The series of one metric as they are now; none when it was never measured. */
  async series(metric: string): Promise<readonly Series[]> {
    return (await this.#collect()).get(metric) ?? []
  }

  /** All metrics by name. */
  async metrics(): Promise<ReadonlyMap<string, readonly Series[]>> {
    return await this.#collect()
  }

  async stop(): Promise<void> {
    this.end()
    await this.tracers.shutdown()
    await this.#meters.shutdown()
  }

  async #collect(): Promise<Map<string, Series[]>> {
    const { resourceMetrics } = await this.#reader.collect()
    return new Map(
      resourceMetrics.scopeMetrics
        .flatMap(({ metrics }) => metrics)
        .map(({ descriptor, dataPoints }) => [
          descriptor.name,
          (dataPoints as DataPoint<number | Histogram>[]).map(({ attributes, value }) => ({
            attributes,
            value: typeof value === 'number' ? value : { count: value.count, sum: value.sum ?? 0 },
          })),
        ]),
    )
  }
}
