import type { Claim, Place, Shape } from '../../core/engine.ts'
import type { LockKeys } from './keys.ts'
import type { Script } from './script.ts'
import * as scripts from './scripts.generated.ts'

type Arguments = readonly (string | number)[]

/** A script and what it is given. */
export interface Call {
  readonly script: Script
  readonly keys: readonly string[]
  readonly args: Arguments
}

interface Terms {
  readonly keepMs: number
  readonly notAfterMs: number
  readonly channel: string
}

interface ReleaseTerms {
  readonly keepMs: number
  readonly force: boolean
  /** Of this process, where others of its places may wait for the lock. */
  readonly channel: string | undefined
}

/** How a kind of lock lies on the server, and by which scripts it is served. */
export interface Recipe {
  acquire(keys: LockKeys, claim: Claim, terms: Terms): Call
  release(keys: LockKeys, place: Place, terms: ReleaseTerms): Call
  renew(places: readonly { keys: LockKeys; place: Place }[], terms: { keepMs: number }): Call
}

/** One holder, whose identity is the plain key's value. */
const MUTEX: Recipe = {
  acquire: (keys, claim, terms) => ({
    script: scripts.acquire,
    keys: lineOf(keys),
    args: takeArguments(claim, terms),
  }),
  release: (keys, place, terms) => ({
    script: scripts.release,
    keys: lineOf(keys),
    args: leaveArguments(place, terms),
  }),
  renew: (places, { keepMs }) => ({
    script: scripts.renew,
    keys: places.flatMap(({ keys }) => lineOf(keys)),
    args: [keepMs, ...places.flatMap(({ place }) => renewalArguments(place))],
  }),
}

/** Any number of holders, each with its permits and its own lease. */
const PERMITS: Recipe = {
  acquire: (keys, claim, terms) => ({
    script: scripts.acquirePermits,
    keys: allOf(keys),
    args: [...claimArguments(claim, terms), shapeText(claim.shape), claim.permits],
  }),
  release: (keys, { identity, minHoldMs, shape }, { keepMs, force }) => ({
    script: scripts.releasePermits,
    keys: allOf(keys),
    args: [identity, minHoldMs, keepMs, force ? 1 : 0, shapeText(shape)],
  }),
  renew: (places, { keepMs }) => ({
    script: scripts.renewPermits,
    keys: places.flatMap(({ keys }) => allOf(keys)),
    args: [
      keepMs,
      ...places.flatMap(({ place }) => [
        place.identity,
        place.ttlMs,
        place.waitTtlMs,
        place.fence ?? 0,
        shapeText(place.shape),
      ]),
    ],
  }),
}

export function recipeOf({ kind }: Shape): Recipe {
  return kind === 'mutex' ? MUTEX : PERMITS
}

/** Every key of a lock, in the order in which the scripts name them. */
export function allOf(keys: LockKeys): string[] {
  return [...lineOf(keys), keys.holders, keys.leases]
}

function lineOf({ lock, fence, line, alive, places }: LockKeys): string[] {
  return [lock, fence, line, alive, places]
}

/** As few as can be: each costs the server and the client as much as the work of the script. */
function takeArguments(claim: Claim, terms: Terms): Arguments {
  const { identity, ttlMs, lockDelayMs, minHoldMs, about, fence = 0 } = claim
  const aliveMs = Math.max(ttlMs + lockDelayMs, minHoldMs)
  const args: (string | number)[] = [
    identity,
    terms.notAfterMs,
    ttlMs,
    aliveMs,
    Math.max(terms.keepMs, aliveMs),
    `${lockDelayMs} ${about}`,
    waitingTerms(claim, terms),
  ]
  if (minHoldMs > 0) args.push(fence, minHoldMs)
  else if (fence > 0) args.push(fence)
  return args
}

let lastTerms = { grantTtlMs: 0, waitTtlMs: 0, wait: false, channel: '', text: '' }

/** The last text is kept: mostly the next one is the same, and to put it together takes time. */
function waitingTerms({ grantTtlMs, waitTtlMs, wait, ticket }: Claim, { channel }: Terms): string {
  const last = lastTerms
  const isSame =
    ticket === undefined &&
    last.channel === channel &&
    last.wait === wait &&
    last.grantTtlMs === grantTtlMs &&
    last.waitTtlMs === waitTtlMs
  if (isSame) return last.text
  const text = `${grantTtlMs} ${waitTtlMs} ${wait ? 1 : 0} ${ticket ?? '-'} ${channel}`
  if (ticket === undefined) lastTerms = { grantTtlMs, waitTtlMs, wait, channel, text }
  return text
}

function leaveArguments(place: Place, { keepMs, force, channel }: ReleaseTerms): Arguments {
  const { identity, minHoldMs, lockDelayMs } = place
  if (force || minHoldMs > 0 || lockDelayMs > 0) {
    return [identity, keepMs, force ? 1 : 0, minHoldMs, lockDelayMs]
  }
  return channel === undefined ? [identity, keepMs] : [identity, keepMs, channel]
}

function claimArguments(claim: Claim, terms: Terms): Arguments {
  return [
    claim.identity,
    claim.ttlMs,
    claim.grantTtlMs,
    claim.waitTtlMs,
    claim.lockDelayMs,
    claim.minHoldMs,
    terms.keepMs,
    terms.notAfterMs,
    claim.wait ? 1 : 0,
    claim.ticket ?? '',
    terms.channel,
    claim.about,
    claim.fence ?? 0,
  ]
}

function renewalArguments(place: Place): Arguments {
  const { identity, ttlMs, waitTtlMs, lockDelayMs, minHoldMs, fence = 0 } = place
  return [identity, ttlMs, waitTtlMs, lockDelayMs, minHoldMs, fence]
}

function shapeText({ kind, capacity }: Shape): string {
  return `${kind} ${capacity}`
}
