import type { Engine, EngineError, Finding, Holdfast, HoldfastOptions } from 'holdfast'
import { memory } from 'holdfast/memory'
import { describe, expect, it } from 'vitest'
import { rig } from '../../test/support/rig.ts'

/** An engine that other processes see, its calls replaced one by one. */
function patched(
  patch: (engine: Engine) => Partial<Engine>,
  options: HoldfastOptions = {},
): { holdfast: Holdfast; run: () => Promise<readonly Finding[]>; engine: Engine } {
  const { clock, store, process } = rig()
  const inner = memory({ clock, store })
  const engine: Engine = Object.create(inner, {
    guarantees: { value: { ...inner.guarantees, shared: true }, writable: true },
  })
  // The memory engine keeps its state in private fields.
  for (const call of ['acquire', 'wait', 'renew', 'release', 'inspect', 'list', 'close'] as const) {
    Object.assign(engine, { [call]: inner[call].bind(inner) })
  }
  Object.assign(engine, patch({ ...engine, guarantees: engine.guarantees }))
  const { holdfast } = process({ engine, ...options })
  const run = async (): Promise<readonly Finding[]> => {
    const findings = holdfast.diagnose()
    let isOver = false
    const over = findings.finally(() => (isOver = true)).catch(() => undefined)
    for (let step = 0; step < 400 && !isOver; step += 1) await clock.advance(50)
    await over
    return await findings
  }
  return { holdfast, run, engine }
}

const codes = (findings: readonly Finding[]): string[] => findings.map(({ code }) => code)

const failure = (message: string): (() => Promise<never>) => {
  return async () => {
    throw new Error(message)
  }
}

describe('a diagnosis', () => {
  it('finds nothing where all is well, and leaves nothing', async () => {
    const { run, holdfast, engine } = patched(() => ({}))
    expect(await run()).toEqual([])
    expect(await engine.list({ prefix: '', limit: 100 })).toEqual({ names: [] })
    await holdfast.close()
  })

  it('says that locks in memory are for one process', async () => {
    const { holdfast } = rig().process()
    expect(await holdfast.diagnose()).toMatchObject([{ code: 'not-shared', severity: 'note' }])
  })

  it('needs neither pushes nor fences nor an order', async () => {
    for (const lacking of ['push', 'fifo', 'fence']) {
      const { run } = patched(({ guarantees }) => ({
        guarantees: { ...guarantees, [lacking]: false },
      }))
      expect(await run()).toEqual([])
    }
  })

  it('adds what the engine tells, the worst first', async () => {
    const told = (['note', 'danger', 'warning'] as const).map((severity) => ({
      code: severity,
      severity,
      seen: '',
      endangers: '',
      advice: '',
    }))
    const asked: unknown[] = []
    const { run } = patched(
      () => ({
        async diagnose(expected) {
          asked.push(expected)
          return told
        },
      }),
      { ttlMs: 4000, requestTimeoutMs: 3000 },
    )
    expect(codes(await run())).toEqual(['danger', 'warning', 'note'])
    expect(asked).toEqual([{ ttlMs: 4000, requestTimeoutMs: 3000, quick: false }])
  })

  it('says that the engine does not answer, and asks no further', async () => {
    const { run } = patched(() => ({ diagnose: failure('gone'), acquire: failure('asked') }))
    expect(await run()).toMatchObject([{ code: 'unreachable', severity: 'danger', seen: 'gone' }])
  })

  it('says why a lock cannot be taken', async () => {
    const { run } = patched(() => ({ acquire: failure('no rights') }))
    expect(await run()).toMatchObject([{ code: 'trial-failed', seen: 'no rights' }])
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- an engine may
    const odd = patched(() => ({ acquire: () => Promise.reject('words') }))
    expect(await odd.run()).toMatchObject([{ code: 'trial-failed', seen: 'words' }])
  })

  it('notices that a free lock is refused', async () => {
    const { run } = patched(() => ({ acquire: async () => ({ state: 'absent' }) }))
    expect(codes(await run())).toEqual(['trial-failed'])
  })

  it('notices two holders at once', async () => {
    let fence = 0
    const { run } = patched(() => ({
      acquire: async () => ({ state: 'held', fence: fence++, deadline: 1e9 }),
    }))
    expect(codes(await run())).toEqual(['exclusion'])
  })

  it.each([
    ['renewed', { renew: async () => [{ state: 'absent' }] }],
    ['looked at', { inspect: async () => null }],
    ['released', { release: async () => false }],
  ] as const)('notices that a lock is gone when it is %s', async (_when, patch) => {
    const { run } = patched(() => patch as Partial<Engine>)
    expect(codes(await run())).toEqual(['lock-vanished'])
  })

  it('notices that a released lock is not given to the next', async () => {
    const { run } = patched((inner) => {
      let released = false
      return {
        acquire: async (claim) => (released ? { state: 'absent' } : await inner.acquire(claim)),
        release: async () => (released = true),
        wait: async () => ({ state: 'waiting', ahead: 0, ticket: 1, lookMs: 0 }),
      }
    })
    expect(codes(await run())).toEqual(['lock-vanished'])
  })

  it('tells the reason of an unknown standing', async () => {
    const error = new Error('not served') as EngineError
    const { run } = patched(() => ({ renew: async () => [{ state: 'unknown', error }] }))
    expect(await run()).toMatchObject([{ code: 'trial-failed', seen: 'not served' }])
  })

  it('notices a fence that does not grow', async () => {
    const { run } = patched((inner) => ({
      async acquire(claim) {
        const standing = await inner.acquire(claim)
        return standing.state === 'held' ? { ...standing, fence: 7 } : standing
      },
    }))
    expect(await run()).toMatchObject([{ code: 'fence', seen: 'The fence went from 7 to 7.' }])
  })

  it('notices a waiter that is not told', async () => {
    const { run } = patched(() => ({
      wait: (_place, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
        }),
    }))
    expect(await run()).toMatchObject([{ code: 'handoff', severity: 'warning' }])
  })

  it.each([
    [{ ttlMs: 10_000, requestTimeoutMs: 5000 }, []],
    [{ ttlMs: 1200, requestTimeoutMs: 5000 }, ['warning']],
    [{ ttlMs: 10_000, requestTimeoutMs: 400 }, ['warning']],
    [{ ttlMs: 500, requestTimeoutMs: 5000 }, ['danger']],
  ])('measures answers after 200 ms against %j', async (options, severities) => {
    const { clock, store, process } = rig()
    const inner = memory({ clock, store })
    const { holdfast } = process({ plan: [], ...options, engine: inner })
    const renew = inner.renew.bind(inner)
    Object.assign(inner, {
      async renew(places: Parameters<typeof renew>[0]) {
        await new Promise<void>((resolve) => clock.setTimer(resolve, 200))
        return await renew(places)
      },
    })
    const findings = holdfast.diagnose()
    for (let step = 0; step < 100; step += 1) await clock.advance(50)
    const slow = (await findings).filter(({ code }) => code === 'latency')
    expect(slow.map(({ severity }) => severity)).toEqual(severities)
  })

  it('is refused by a Holdfast that is closed, before or meanwhile', async () => {
    const { run, holdfast } = patched(() => ({}))
    await holdfast.close()
    await expect(run()).rejects.toMatchObject({ code: 'HOLDFAST_CLOSED' })
    for (const call of ['diagnose', 'renew'] as const) {
      const other = patched(() => ({
        [call]: async () => {
          await other.holdfast.close()
          throw new Error('cut')
        },
      }))
      await expect(other.run()).rejects.toMatchObject({ code: 'HOLDFAST_CLOSED' })
    }
  })
})
