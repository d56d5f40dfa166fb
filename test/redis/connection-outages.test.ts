import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clients, open, script, take, timesRun } from '../support/holdfasts.ts'
import { type Proxy, startProxy } from '../support/proxy.ts'
import { watch } from '../support/rig.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

const LONG_MS = 120_000

/** Ways in which a server can be out of reach. */
const outages: readonly [string, (server: RunningServer, proxy: Proxy) => unknown][] = [
  ['is killed', (server) => server.kill()],
  ['is frozen', (server) => server.pause()],
  ['is behind a black hole', (_, proxy) => proxy.blackHole('both')],
  [
    'refuses connections',
    async (_, proxy) => {
      await proxy.refuse()
      proxy.dropConnections()
    },
  ],
]

describe.each(clients)('a server out of reach of a Holdfast on %s', (way) => {
  it('does not keep a holder from hearing of its loss before the next is granted', async () => {
    await using server = await startServer()
    await using proxy = await startProxy({ targetPort: server.port })
    // No renewal fails in time to tell of the loss: the holder's own clock must do it.
    const patient = { ttlMs: 600, commandTimeoutMs: LONG_MS, requestTimeoutMs: 300 }
    await using far = await open(way, { port: proxy.port }, patient)
    await using near = await open(way, { port: server.port }, { ttlMs: 600 })
    const lease = await take(far.holdfast, 'job')
    let toldAtGrant: boolean | undefined
    let heldAtGrant: boolean | undefined
    const next = near.holdfast.mutex('job').run(async () => {
      // Timers that are due already may stand behind this answer in the event loop.
      await new Promise((resolve) => setTimeout(resolve, 0))
      toldAtGrant = far.told.includes('lost: expired')
      heldAtGrant = lease.held
    })
    await until(() => near.told.includes('waiting: job'), { what: 'the next to wait' })
    const { signal } = lease
    proxy.blackHole('both')
    await next
    expect({ toldAtGrant, heldAtGrant }).toEqual({ toldAtGrant: true, heldAtGrant: false })
    expect(signal.aborted).toBe(true)
    expect(signal.reason).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'expired' })
    // All of it while the network is still gone.
    proxy.heal({ stuck: 'drop' })
  })

  it('loses nothing when it is back before the lease is over', async () => {
    await using server = await startServer()
    await using one = await open(way, { port: server.port }, { commandTimeoutMs: 200 })
    const lease = await take(one.holdfast, 'job', { ttlMs: 3000 })
    server.pause()
    await until(() => one.told.includes('jeopardy: job'), { what: 'the renewal to fail' })
    expect([lease.state, lease.held]).toEqual(['jeopardy', true])
    server.resume()
    await until(() => one.told.includes('secured: job'), { what: 'the lease to be secured' })
    expect(lease.state).toBe('held')
    expect(await lease.release()).toBe(true)
  })

  it('does not delay the loss, nor the release of what is lost', async () => {
    await using server = await startServer()
    const settings = { ttlMs: 500, requestTimeoutMs: 300 }
    await using one = await open(way, { port: server.port }, settings)
    const lease = await take(one.holdfast, 'job')
    const work = watch(
      one.holdfast.mutex('other').run(
        ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error))
          }),
      ),
    )
    await until(() => one.told.includes('granted: other'), { what: 'the work to start' })
    server.pause()
    await until(() => one.told.filter((each) => each === 'lost: expired').length === 2, {
      what: 'both to be told',
    })
    expect(await lease.release()).toBe(false)
    await until(() => work.settled, { what: 'the work to have ended' })
    expect(work.error).toMatchObject({ code: 'HOLDFAST_LEASE_LOST' })
    await expect(one.holdfast.mutex('third').tryAcquire()).rejects.toMatchObject({
      code: 'HOLDFAST_ENGINE_FAILED',
    })
    server.resume()
    for (const name of ['job', 'other', 'third']) {
      const again = await one.holdfast.mutex(name).acquire({ timeoutMs: 10_000 })
      expect(again.fence).toBeGreaterThan(lease.fence)
    }
  })

  it('takes nothing later that was asked of it while it was frozen', async () => {
    await using server = await startServer()
    const settings = { ttlMs: LONG_MS, requestTimeoutMs: 500, commandTimeoutMs: 200 }
    const one = await open(way, { port: server.port }, settings)
    await one.holdfast.inspect('warm-up')
    await (await take(one.holdfast, 'warm-up')).release()
    await server.call('flushall')
    const before = await timesRun(server, 'evalsha')
    server.pause()
    const failed = { code: 'HOLDFAST_ENGINE_FAILED' }
    await expect(one.holdfast.mutex('job').tryAcquire()).rejects.toMatchObject(failed)
    // Without the clean-up in the background it must be nothing, too.
    await one[Symbol.asyncDispose]()
    server.resume()
    await until(async () => (await timesRun(server, 'evalsha')) > before, {
      what: 'the frozen requests to be served',
    })
    expect(await server.cli('keys', '*')).toBe('')
  })

  /** What passes the proxy from now on for locks with `name` in theirs, except what cleans up. */
  const watchFor = (proxy: Proxy, name: string): string[][] => {
    const seen: string[][] = []
    const isRelease = script('release')
    proxy.delay({
      match(request) {
        const concerned = request.args.some((arg) => arg.includes(name))
        if (concerned && !isRelease(request)) seen.push(request.args)
        return false
      },
    })
    return seen
  }

  it('runs nothing after it is back that failed while it was away', async () => {
    await using server = await startServer()
    await using proxy = await startProxy({ targetPort: server.port })
    const settings = { ttlMs: LONG_MS, requestTimeoutMs: 300, commandTimeoutMs: 200 }
    await using one = await open(way, { port: proxy.port }, settings)
    await until(() => one.holdfast.inspect('here').then(() => true), { what: 'an answer' })
    await server.kill()
    await proxy.refuse()
    const calls = [
      one.holdfast.mutex('away 1').tryAcquire(),
      one.holdfast.mutex('away 2').acquire({ timeoutMs: 250 }),
      one.holdfast.mutex('away 3').acquire(),
      one.holdfast.inspect('away 4'),
    ]
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'HOLDFAST_ENGINE_FAILED' },
      })
    }
    const seen = watchFor(proxy, 'away')
    await server.start()
    await proxy.accept()
    await until(() => one.holdfast.inspect('here').then(() => true), { what: 'the server' })
    expect(seen).toEqual([])
    expect(await server.cli('keys', '*')).toBe('')
  })

  it('runs nothing that waited for a connection longer than its caller did', async () => {
    await using server = await startServer()
    await using proxy = await startProxy({ targetPort: server.port })
    const settings = { requestTimeoutMs: 300, commandTimeoutMs: 200 }
    await using one = await open(way, { port: proxy.port }, settings)
    server.pause()
    const seen = watchFor(proxy, 'away')
    const failed = { code: 'HOLDFAST_ENGINE_FAILED' }
    await expect(one.holdfast.inspect('away')).rejects.toMatchObject(failed)
    await expect(one.holdfast.mutex('away').tryAcquire()).rejects.toMatchObject(failed)
    server.resume()
    await until(() => one.holdfast.inspect('here').then(() => true), { what: 'the server' })
    expect(seen).toEqual([])
    expect(await server.cli('keys', '*')).toBe('')
  })

  it.each(outages)('keeps close from nothing when it %s', async (_, begin) => {
    await using server = await startServer()
    await using proxy = await startProxy({ targetPort: server.port })
    const settings = { ttlMs: LONG_MS, requestTimeoutMs: 300, commandTimeoutMs: 200 }
    const one = await open(way, { port: proxy.port }, settings)
    const lease = await take(one.holdfast, 'job')
    const { signal } = lease
    const waiting = watch(one.holdfast.mutex('job').acquire())
    await until(() => one.told.includes('waiting: job'), { what: 'the wait' })
    await begin(server, proxy)
    const asking = watch(one.holdfast.mutex('other').tryAcquire())
    const closing = watch(one.holdfast.close())
    await until(() => closing.settled, { what: 'close to settle', timeoutMs: 5000 })
    expect(closing.error).toBeUndefined()
    await until(() => waiting.settled && asking.settled, { what: 'the calls to settle' })
    expect(waiting.error).toMatchObject({ code: 'HOLDFAST_CLOSED' })
    expect(asking.error).toMatchObject({ code: 'HOLDFAST_CLOSED' })
    expect([signal.aborted, lease.held]).toEqual([true, false])
    await one[Symbol.asyncDispose]()
  })

  it('stays a server whose waiters are served after a restart', async () => {
    await using server = await startServer()
    await using holder = await open(way, { port: server.port }, { ttlMs: 900 })
    await using waiter = await open(way, { port: server.port }, { ttlMs: 900 })
    const lease = await take(holder.holdfast, 'job')
    const next = waiter.holdfast.mutex('job').acquire()
    await until(() => waiter.told.includes('waiting: job'), { what: 'the wait' })
    await server.restart({ keepData: false })
    const granted = await next
    expect(granted.fence).toBeGreaterThan(lease.fence)
    await until(() => !lease.held, { what: 'the first to be told' })
    expect(granted.held).toBe(true)
  })
})

describe('a process', () => {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  let folder: string
  beforeAll(async () => {
    const parent = join(root, 'node_modules', '.cache')
    await mkdir(parent, { recursive: true })
    folder = await mkdtemp(join(parent, 'holdfast-outages-'))
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const args = [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', folder]
    // Type errors are found elsewhere; what is needed here is the code.
    await promisify(execFile)(process.execPath, [...args, '--noEmitOnError', 'false']).catch(
      () => {},
    )
    await writeFile(join(folder, 'child.mjs'), CHILD)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each([['answers', () => {}] as const, ...outages])(
    'ends by itself after close when the server %s',
    async (_, begin) => {
      await using server = await startServer()
      await using proxy = await startProxy({ targetPort: server.port })
      const child = spawn(process.execPath, [join(folder, 'child.mjs'), proxy.url], {
        stdio: ['pipe', 'pipe', 'pipe'],
      })
      const said: string[] = []
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => said.push(line))
      }
      try {
        await until(() => said.length > 0, { what: 'the child to hold and to wait' })
        expect(said).toEqual(['ready'])
        await begin(server, proxy)
        child.stdin.end('close\n')
        await until(() => child.exitCode !== null, { what: 'the child to end' })
      } finally {
        child.kill('SIGKILL')
      }
      expect({ code: child.exitCode, said }).toEqual({
        code: 0,
        said: ['ready', 'HOLDFAST_CLOSED', 'closed'],
      })
    },
  )
})

const CHILD = `
const { connect } = await import('./index.js')
const holdfast = await connect(process.argv[2], { requestTimeoutMs: 300, commandTimeoutMs: 2000 })
const lease = await holdfast.mutex('job').tryAcquire()
holdfast.mutex('job').acquire().catch((error) => console.log(error.code))
await new Promise((resolve) => holdfast.on('waiting', resolve))
process.stdin.once('data', async () => {
  await holdfast.close()
  console.log('closed')
})
console.log('ready')
`
