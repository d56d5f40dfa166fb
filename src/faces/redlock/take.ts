import { createHash } from 'node:crypto'
import { acquire } from '../../core/acquire.ts'
import { attempt } from '../../core/all-attempt.ts'
import { AllLease } from '../../core/all-lease.ts'
import type { Core } from '../../core/core.ts'
import type { Place, Shape } from '../../core/engine.ts'
import { AcquireTimeoutError } from '../../core/errors.ts'
import { Lease } from '../../core/lease.ts'
import type { Ask } from '../../core/lock.ts'
import { checkName, leaseSettings } from '../../core/options.ts'

const MUTEX: Shape = { kind: 'mutex', capacity: 1 }

/** Which locks are asked for. */
export interface Wanted {
  readonly resources: readonly string[]
  readonly duration: number
  /** Whether they renew themselves. */
  readonly renew: boolean
}

/** Locks that were taken. */
export interface Taken {
  readonly value: string
  readonly leases: readonly Lease[]
}

/** Takes all resources or none. Resolves to `null` when the time was over before. */
export async function take(core: Core, wanted: Wanted, timeoutMs: number): Promise<Taken | null> {
  const until = core.clock.now() + timeoutMs
  const limits = { timeoutMs, until, signal: undefined }
  try {
    for (;;) {
      // A value is never used twice: what a lost reply left behind is released by it.
      const value = core.random.identity()
      const asks = asksFor(core, wanted, value)
      const [only] = asks
      if (only !== undefined && asks.length === 1) {
        const place = core.place(only)
        const answer = await acquire(core, { ...limits, place, keeping: only.settings })
        return answer instanceof Lease ? { value, leases: [answer] } : null
      }
      const answer = await attempt(core, asks, limits)
      if (answer === 'again') continue
      return answer instanceof AllLease ? { value, leases: answer.leases } : null
    }
  } catch (error) {
    if (error instanceof AcquireTimeoutError) return null
    throw error
  }
}

/** The places of a lock with this value, one for each resource. */
export function placesFor(core: Core, wanted: Wanted, value: string): readonly Place[] {
  return asksFor(core, wanted, value).map((ask) => core.place(ask))
}

/** In the order of the names, which is the same for everybody. */
function asksFor(core: Core, { resources, duration, renew }: Wanted, value: string): Ask[] {
  if (resources.length === 0) throw new RangeError('resources must name at least one resource.')
  for (const name of resources) checkName(name)
  const names = [...new Set(resources)].sort()
  const settings = leaseSettings({ ttlMs: duration, renew }, core.defaults)
  return names.map((name) => ({
    name,
    shape: MUTEX,
    permits: 1,
    settings,
    identity: names.length === 1 ? value : derive(value, name),
  }))
}

/**
 * The identities of one acquisition differ, as pushes are told apart by them; they follow from the
 * value, so that the lock can be released by it.
 */
function derive(value: string, name: string): string {
  return createHash('sha256').update(`${value}\0${name}`).digest('hex').slice(0, 32)
}
