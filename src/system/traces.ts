import { channel, tracingChannel } from 'node:diagnostics_channel'
import type { Trace, Traces } from '../core/traces.ts'

/** The channels of this process, by Node's conventions for tracing channels. */
export const traces: Traces = {
  acquire: trace('holdfast:acquire'),
  hold: trace('holdfast:hold'),
  renew: trace('holdfast:renew'),
  waiting: publisher('holdfast:waiting'),
}

function trace<T extends object>(name: string): Trace<T> {
  // Kept here: a channel that nobody refers to may be collected, with those who bound to it.
  const channels = tracingChannel<unknown, T>(name)
  return {
    get watched(): boolean {
      return channels.hasSubscribers
    },
    begin<R>(told: T, work: () => R): R {
      try {
        return channels.start.runStores(told, work)
      } finally {
        channels.end.publish(told)
      }
    },
    end(told: T): void {
      if ((told as { error?: unknown }).error !== undefined) channels.error.publish(told)
      channels.asyncStart.publish(told)
      channels.asyncEnd.publish(told)
    },
  }
}

function publisher<T extends object>(name: string): (told: T) => void {
  const told = channel(name)
  return (message) => told.publish(message)
}
