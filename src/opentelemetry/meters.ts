import type { Counter, Histogram, Meter, UpDownCounter } from '@opentelemetry/api'

/** Seconds: from a free lock on a near server to a long wait in a line. */
const WAIT_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
]

/** Seconds: from a quick write to a job of hours. */
const HOLD_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14_400]

/** Seconds: one exchange with the engine, up to its time limit. */
const RENEW_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/** Everything that is measured. */
export class Meters {
  readonly wait: Histogram
  readonly hold: Histogram
  readonly renew: Histogram
  readonly waiters: UpDownCounter
  readonly leases: UpDownCounter
  readonly losses: Counter
  readonly renewals: Counter

  constructor(meter: Meter) {
    this.wait = meter.createHistogram('holdfast.wait.duration', {
      description: 'Time from asking for a lock to the answer.',
      unit: 's',
      advice: { explicitBucketBoundaries: WAIT_BUCKETS },
    })
    this.hold = meter.createHistogram('holdfast.hold.duration', {
      description: 'Time from the grant of a lease to its end.',
      unit: 's',
      advice: { explicitBucketBoundaries: HOLD_BUCKETS },
    })
    this.renew = meter.createHistogram('holdfast.renew.duration', {
      description: 'Time from sending a renewal, of any number of places, to its answer.',
      unit: 's',
      advice: { explicitBucketBoundaries: RENEW_BUCKETS },
    })
    this.waiters = meter.createUpDownCounter('holdfast.waiter.count', {
      description: 'Calls of this process that stand in a line now.',
      unit: '{waiter}',
    })
    this.leases = meter.createUpDownCounter('holdfast.lease.count', {
      description: 'Leases that this process holds now.',
      unit: '{lease}',
    })
    this.losses = meter.createCounter('holdfast.lease.losses', {
      description: 'Leases that were lost before they were released.',
      unit: '{loss}',
    })
    this.renewals = meter.createCounter('holdfast.lease.renewals', {
      description: 'Renewals of single leases, by what came of them.',
      unit: '{renewal}',
    })
  }
}
