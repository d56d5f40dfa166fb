import fc from 'fast-check'
import { connect, createHoldfast, type Holdfast, HoldfastError, type Lease } from 'holdfast'
import { memory } from 'holdfast/memory'
import { redis } from 'holdfast/redis'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type RunningServer, startServer } from '../support/servers.ts'
import { seed } from '../support/until.ts'

const run = { seed: seed(import.meta.url), numRuns: 60 }

const MAX = 2_147_483_647
const noFunction = () => {}

/** Anything that is not a number at all. */
const notANumber = fc.oneof(
  fc.constantFrom(null, true, false, '', '10', 'abc', 10n, Symbol('x'), noFunction, [], {}),
  fc.constantFrom([5], { valueOf: () => 5 }, new Date(5), new Map(), Number, new Number(5)),
  fc.string(),
  fc.object(),
)
const whole = (least: number, most = MAX) =>
  fc.oneof(
    notANumber,
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    fc.constantFrom(least - 1, most + 1, least + 0.5, 1e308, -1, Number.MIN_VALUE),
    fc.double().filter((each) => !Number.isInteger(each)),
    fc.integer({ min: -(2 ** 40), max: least - 1 }),
    fc.integer({ min: most + 1, max: 2 ** 40 }),
  )
const notAText = fc.oneof(
  fc.constantFrom(null, true, 0, 7, 10n, Symbol('x'), noFunction, [], {}, ['m'], new String('m')),
  fc.constant({ toString: () => 'm' }),
  fc.object(),
)
const badText = fc.oneof(
  notAText,
  fc.constantFrom('x'.repeat(1025), '€'.repeat(342), '\ud800', 'a\udc00b', '😀'.slice(0, 1)),
)
const badName = fc.oneof(badText, fc.constantFrom('', undefined))
const notAnObject = fc.constantFrom(null, true, 0, 7, 'text', 10n, Symbol('x'), noFunction)

const badLeaseOption = fc.oneof(
  fc.record({ ttlMs: whole(20) }),
  fc.record({ minHoldMs: whole(0) }),
  fc.record({ lockDelayMs: whole(0) }),
  fc.record({ renew: fc.oneof(fc.constantFrom(null, 0, 1, '', 'true', [], {}), fc.string()) }),
  fc.record({ label: fc.oneof(badText, fc.constant('x'.repeat(201))) }),
  fc.constant({ ttlMs: MAX, lockDelayMs: 1 }),
)
const badAcquireOption = fc.oneof(
  badLeaseOption,
  fc.record({ timeoutMs: whole(0) }),
  fc.record({
    signal: fc.constantFrom(null, 1, 'abort', true, {}, { aborted: true }, new EventTarget()),
  }),
)
const badRedisOption = fc.oneof(
  fc.record({ prefix: badText }),
  fc.record({ commandTimeoutMs: whole(1) }),
  fc.record({ connectTimeoutMs: whole(1) }),
  fc.record({ fenceTtlMs: whole(1000) }),
)
const badHoldfastOption = fc.oneof(badLeaseOption, fc.record({ requestTimeoutMs: whole(1) }))

/** Named after the option, with the value that was given, by a class that says what was wrong. */
function expectNamed(error: unknown, options: unknown): void {
  expect(error, JSON.stringify(String(error))).toSatisfy(
    (each) => each instanceof TypeError || each instanceof RangeError || isOurs(each),
  )
  const { message } = error as Error
  expect(message).not.toBe('')
  expect(message).not.toMatch(/undefined \(reading|is not a function|Cannot (read|convert|mix)/)
  if (isOurs(error) || typeof options !== 'object' || options === null) return
  const names = Object.keys(options)
  expect(names.some((each) => message.includes(each))).toBe(true)
}

function isOurs(error: unknown): boolean {
  return error instanceof HoldfastError && /^HOLDFAST_[A-Z_]+$/.test(error.code)
}

async function rejection(call: () => Promise<unknown>): Promise<unknown> {
  // Called here, so that a throw instead of a rejection fails the test.
  const promise = call()
  expect(promise).toBeInstanceOf(Promise)
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('expected a rejection')
}

function thrown(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new Error('expected a throw')
}

let server: RunningServer
let own: Holdfast
let client: Redis

beforeAll(async () => {
  server = await startServer()
  own = await connect(server.url)
  client = new Redis(server.port, '127.0.0.1', { lazyConnect: true })
})
afterAll(async () => {
  await own.close()
  client.disconnect()
  await server.stop()
})
beforeEach(() => server.call('flushall'))

const untouched = async (): Promise<void> => {
  expect(await server.call('dbsize')).toBe(0)
}
const connections = async (): Promise<number> =>
  (await server.cli('client', 'list')).trim().split('\n').length

describe('wrong input is named, and changes nothing:', () => {
  it('options of connect', async () => {
    const before = await connections()
    await fc.assert(
      fc.asyncProperty(fc.oneof(badHoldfastOption, badRedisOption), async (options) => {
        expectNamed(await rejection(() => connect(server.url, options as object)), options)
      }),
      run,
    )
    for (const wrong of [null, 5, 'text', noFunction]) {
      expectNamed(await rejection(() => connect(server.url, wrong as never)), undefined)
    }
    expect(await connections()).toBe(before)
    await untouched()
  })

  it('addresses', async () => {
    const urls = fc.oneof(
      // An object alone is the options, and the URL the default.
      notAText.filter((each) => typeof each !== 'object' || each === null),
      fc.constantFrom(undefined, '', ' ', 'redis', '://', 'gopher://x', 'redis://[', 'redis:'),
      fc.constantFrom('redis://h:99999', 'redis://h:0/-1', 'redis://h/x', 'redis://h/1.5'),
      fc.string().filter((each) => !/^(redis|valkey|memory|sqlite)/i.test(each)),
    )
    await fc.assert(
      fc.asyncProperty(urls, async (url) => {
        if (url === 'redis:') return
        expectNamed(await rejection(() => connect(url as string)), undefined)
      }),
      run,
    )
    await untouched()
  })

  it('options of createHoldfast and redis', () => {
    fc.assert(
      fc.property(badHoldfastOption, (options) => {
        const engine = own.engine
        expectNamed(
          thrown(() => createHoldfast({ ...(options as object), engine })),
          options,
        )
      }),
      run,
    )
    fc.assert(
      fc.property(badRedisOption, (options) => {
        expectNamed(
          thrown(() => redis(client, options as object)),
          options,
        )
      }),
      run,
    )
    fc.assert(
      fc.property(fc.oneof(notAnObject, fc.object(), fc.constant(undefined)), (wrong) => {
        expectNamed(
          thrown(() => redis(wrong as never)),
          undefined,
        )
        expectNamed(
          thrown(() => createHoldfast({ engine: wrong as never })),
          { engine: 1 },
        )
        if (wrong === undefined || (typeof wrong === 'object' && wrong !== null)) return
        expectNamed(
          thrown(() => createHoldfast(wrong as never)),
          undefined,
        )
        expectNamed(
          thrown(() => redis(client, wrong as never)),
          undefined,
        )
      }),
      run,
    )
  })

  it('names and lease options of mutex', async () => {
    fc.assert(
      fc.property(badName, (name) => {
        expectNamed(
          thrown(() => own.mutex(name as string)),
          { name: 1 },
        )
      }),
      run,
    )
    fc.assert(
      fc.property(fc.oneof(badLeaseOption, notAnObject), (options) => {
        expectNamed(
          thrown(() => own.mutex('m', options as object)),
          options,
        )
      }),
      run,
    )
    await untouched()
  })

  it('options of acquire, tryAcquire and run', async () => {
    const mutex = own.mutex('m')
    const worked: string[] = []
    const work = () => worked.push('ran')
    await fc.assert(
      fc.asyncProperty(fc.oneof(badAcquireOption, notAnObject), async (given) => {
        const options = given as object
        expectNamed(await rejection(() => mutex.acquire(options)), options)
        expectNamed(await rejection(() => mutex.run(work, options)), options)
      }),
      run,
    )
    await fc.assert(
      fc.asyncProperty(fc.oneof(badLeaseOption, notAnObject), async (options) => {
        expectNamed(await rejection(() => mutex.tryAcquire(options as object)), options)
      }),
      run,
    )
    for (const wrong of [undefined, null, 5, 'text', {}]) {
      expectNamed(await rejection(() => mutex.run(wrong as never)), { work: 1 })
    }
    expect(worked).toEqual([])
    await untouched()
  })

  it('names of inspect, options of list', async () => {
    await fc.assert(
      fc.asyncProperty(badName, async (name) => {
        expectNamed(await rejection(() => own.inspect(name as string)), { name: 1 })
      }),
      run,
    )
    const bad = fc.oneof(
      fc.record({ prefix: badText }),
      fc.record({ cursor: badText }),
      fc.record({ limit: whole(1, 10_000) }),
      notAnObject,
    )
    await fc.assert(
      fc.asyncProperty(bad, async (options) => {
        expectNamed(await rejection(() => own.list(options as object)), options)
      }),
      run,
    )
    // Which texts are no cursor is the server's to say.
    for (const cursor of ['x', '1.5', '99999999999999999999999', 'a\0b']) {
      expectNamed(await rejection(() => own.list({ cursor })), undefined)
    }
    await untouched()
  })

  it('events and listeners of on', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (event, listener) => {
        expectNamed(
          thrown(() => own.on(event as never, noFunction)),
          { event: 1 },
        )
        if (typeof listener === 'function') return
        expectNamed(
          thrown(() => own.on('lost', listener as never)),
          { listener: 1 },
        )
      }),
      { ...run, examples: [[{ toString: '' }, []]] },
    )
  })

  it('the time asked of assertHeld', async () => {
    const lease = await own.mutex('m').acquire()
    fc.assert(
      fc.property(whole(0), (minMs) => {
        expectNamed(
          thrown(() => lease.assertHeld(minMs as number)),
          { minMs: 1 },
        )
      }),
      run,
    )
    expect(lease.held).toBe(true)
    expect(thrown(() => lease.assertHeld(MAX))).toMatchObject({ code: 'HOLDFAST_LEASE_LOST' })
    await lease.renew(...([5] as unknown as []))
    expect(await lease.release(...(['x'] as unknown as []))).toBe(true)
  })
})

describe('extreme input that is right', () => {
  it('is served, and leaves nothing held', async () => {
    const good = fc.record(
      {
        ttlMs: fc.constantFrom(20, 21, 10_000, MAX - 1, MAX),
        renew: fc.boolean(),
        minHoldMs: fc.constantFrom(0),
        lockDelayMs: fc.constantFrom(0),
        label: fc.oneof(fc.string({ unit: 'binary', maxLength: 100 }), fc.constant('"\0\n{}')),
        timeoutMs: fc.constantFrom(1000, MAX),
      },
      { requiredKeys: [] },
    )
    const names = fc.string({ unit: 'binary', minLength: 1, maxLength: 250 })
    await fc.assert(
      fc.asyncProperty(names, good, async (name, options) => {
        // A lone surrogate is no text.
        fc.pre(!/\p{Surrogate}/u.test(name) && !/\p{Surrogate}/u.test(options.label ?? ''))
        const lease = await own.mutex(name).acquire(options)
        expect(lease.name).toBe(name)
        const report = await own.inspect(name)
        if (lease.held) expect(report?.holders[0]?.about.label).toBe(options.label)
        await lease.release()
        expect(await server.call('exists', `holdfast:${name}`)).toBe(0)
      }),
      run,
    )
  })
})

describe.each([
  ['redis', () => connect(server.url)],
  ['memory', async () => createHoldfast({ engine: memory() })],
])('after close on %s', (_, make) => {
  it('everything says so, and closing again is harmless', async () => {
    const made = await make()
    const mutex = made.mutex('m')
    const lease: Lease = await mutex.acquire()
    await Promise.all([made.close(), made.close()])
    await made.close()
    await made[Symbol.asyncDispose]()
    const calls = [
      () => mutex.acquire(),
      () => mutex.tryAcquire(),
      () => mutex.run(noFunction),
      () => made.mutex('n').acquire({ timeoutMs: 0 }),
      () => made.inspect('m'),
      () => made.list(),
      () => lease.renew(),
    ]
    for (const call of calls) {
      expect(await rejection(call)).toMatchObject({ code: 'HOLDFAST_CLOSED' })
    }
    expect(lease.held).toBe(false)
    expect(thrown(() => lease.assertHeld())).toMatchObject({ code: /^HOLDFAST_/ })
    await lease.release()
    made.on('lost', noFunction)()
    expectNamed(
      thrown(() => made.mutex('')),
      { name: 1 },
    )
    await untouched().catch(async () => {
      expect(await server.cli('keys', '*')).toBe('{holdfast:m}~fence')
    })
  })
})
