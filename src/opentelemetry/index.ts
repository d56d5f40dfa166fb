import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { diag, type MeterProvider, metrics, type TracerProvider, trace } from '@opentelemetry/api'
import { checkFunction, checkObject } from '../core/options.ts'
import type { AcquireTrace, HoldTrace, RenewTrace } from '../core/traces.ts'
import { Acquires } from './acquires.ts'
import { Holds } from './holds.ts'
import { LockNames, type LockNaming } from './lock-names.ts'
import { Meters } from './meters.ts'
import { Renewals } from './renewals.ts'

export type { LockNaming } from './lock-names.ts'

/** What is reported, and where to. */
export interface InstrumentOptions {
  /** Takes the spans; default: the one that is registered globally. */
  readonly tracerProvider?: TracerProvider
  /** Takes the metrics; default: the one that is registered globally when `instrument` is called. */
  readonly meterProvider?: MeterProvider
  /**
   * What to tell of the name of a lock, as the attribute `holdfast.lock.name`; `undefined` tells
   * nothing. By default no name is told, since names often hold what belongs to a single user or
   * order: let it return what stays the same for many of them. Metrics keep the first 100 different
   * answers apart; all further ones count together as `_OTHER`. The messages of errors, which name
   * the lock, are recorded where the name is told unchanged.
   */
  readonly lockName?: LockNaming
}

/**
 * Reports every Holdfast of this process to OpenTelemetry: spans for each acquire and each hold,
 * and metrics. Call it once, after the OpenTelemetry SDK was started. Returns a function that ends
 * the reports; spans under way end with it. What fails in reporting is told to OpenTelemetry's
 * `diag` and to nobody else. Throws TypeError when an option cannot be read.
 */
export function instrument(options: InstrumentOptions = {}): () => void {
  checkObject('options', options)
  const { tracerProvider = trace, meterProvider = metrics, lockName } = options
  if (lockName !== undefined) checkFunction('lockName', lockName)
  const tracer = tracerProvider.getTracer('holdfast')
  const meters = new Meters(meterProvider.getMeter('holdfast'))
  const names = new LockNames(lockName)
  const acquires = new Acquires(tracer, meters, names)
  const holds = new Holds(tracer, meters, names)
  const renewals = new Renewals(meters, names)
  const ends = [
    hear<AcquireTrace>('tracing:holdfast:acquire:start', (told) => acquires.start(told)),
    hear<AcquireTrace>('holdfast:waiting', (told) => acquires.waiting(told)),
    hear<AcquireTrace>('tracing:holdfast:acquire:asyncEnd', (told) => acquires.end(told)),
    hear<HoldTrace>('tracing:holdfast:hold:start', (told) =>
      holds.start(told, acquires.origin(told.acquire)),
    ),
    hear<HoldTrace>('tracing:holdfast:hold:asyncEnd', (told) => holds.end(told)),
    hear<RenewTrace>('tracing:holdfast:renew:asyncEnd', (told) => renewals.end(told)),
  ]
  return () => {
    for (const end of ends.splice(0)) end()
    acquires.stop()
    holds.stop()
  }
}

/** Listens to a channel of Node until the returned function is called. */
function hear<T>(name: string, listener: (told: T) => void): () => void {
  const hearing = (message: unknown): void => {
    try {
      listener(message as T)
    } catch (error) {
      // Node would end the process: it takes what a listener throws for an uncaught exception.
      diag.error(`holdfast: a report on ${name} failed`, error)
    }
  }
  subscribe(name, hearing)
  return () => {
    unsubscribe(name, hearing)
  }
}
