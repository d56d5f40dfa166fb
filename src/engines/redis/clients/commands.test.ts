import { beforeEach, describe, expect, it } from 'vitest'
import type { Clock, Timer } from '../../../core/clock.ts'
import type { Listener, RedisPort } from '../port.ts'
import { ClientPort } from './client-port.ts'
import type { Connection, Watcher } from './connection.ts'

/** A clock that is moved by hand. */
class HandClock implements Clock {
  #now = 1000
  #timers = new Set<{ at: number; action: () => void }>()

  now(): number {
    return this.#now
  }
  setTimer(action: () => void, delayMs: number): Timer {
    const timer = { at: this.#now + delayMs, action }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }
  get pending(): number {
    return this.#timers.size
  }
  async run(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (!due) break
      this.#timers.delete(due)
      this.#now = due.at
      due.action()
      await settle()
    }
    this.#now = end
    await settle()
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

interface Sent {
  text: string
  answer(value: unknown): void
  fail(error: unknown): void
}

class FakeConnection implements Connection {
  readonly watcher: Watcher
  readonly sent: Sent[] = []
  destroyed = 0
  up: () => void = () => {}
  refuse: (error: unknown) => void = () => {}

  constructor(watcher: Watcher) {
    this.watcher = watcher
  }
  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.up = resolve
      this.refuse = reject
    })
  }
  send(name: string, args: readonly (string | number)[]): Promise<unknown> {
    if (args.includes('throws')) throw new TypeError('wrong argument')
    return new Promise((answer, fail) => {
      this.sent.push({ text: [name, ...args].join(' '), answer, fail })
    })
  }
  subscribe(channel: string): Promise<unknown> {
    return this.send('subscribe', [channel])
  }
  destroy(): void {
    this.destroyed += 1
  }
}

let clock: HandClock
let dialled: FakeConnection[]
let heard: FakeConnection[]
let breaks: number
let port: RedisPort

beforeEach(() => {
  clock = new HandClock()
  dialled = []
  heard = []
  breaks = 0
  const dial = (list: FakeConnection[]) => (watcher: Watcher) => {
    const connection = new FakeConnection(watcher)
    list.push(connection)
    return connection
  }
  port = new ClientPort(
    {
      client: 'fake',
      topology: 'single',
      keyPrefix: '',
      dialCommands: dial(dialled),
      dialSubscriptions: dial(heard),
    },
    { clock, connectTimeoutMs: 500 },
  )
  port.onBreak(() => {
    breaks += 1
  })
  return () => port.close()
})

const texts = (connection: FakeConnection | undefined): string[] =>
  (connection?.sent ?? []).map(({ text }) => text)

function run(name: string, timeoutMs = 100): Promise<unknown> {
  const answer = port.command(name, [], { timeoutMs })
  answer.catch(() => {})
  return answer
}

async function connected(): Promise<FakeConnection> {
  void run('hello')
  dialled[0]?.up()
  await settle()
  dialled[0]?.sent[0]?.answer('OK')
  await clock.run(2000)
  const connection = dialled[0]
  if (!connection) throw new Error('not dialled')
  return connection
}

describe('a command', () => {
  it('waits for the first connection, in line', async () => {
    const answers = [run('a'), run('b', 50), run('c')]
    expect(dialled).toHaveLength(1)
    dialled[0]?.up()
    await settle()
    expect(texts(dialled[0])).toEqual(['a', 'b', 'c'])
    for (const [at, sent] of (dialled[0]?.sent ?? []).entries()) sent.answer(at)
    expect(await Promise.all(answers)).toEqual([0, 1, 2])
    await clock.run(200)
    expect(clock.pending).toBe(0)
  })

  it('that waited too long for a connection is never sent', async () => {
    const answer = run('a')
    await clock.run(100)
    await expect(answer).rejects.toMatchObject({ kind: 'connection', mayHaveRun: false })
    dialled[0]?.up()
    await settle()
    expect(texts(dialled[0])).toEqual([])
  })

  it('fails at once after an attempt failed, until there is a connection', async () => {
    const first = run('a')
    dialled[0]?.refuse(new Error('refused'))
    await expect(first).rejects.toMatchObject({ kind: 'connection', mayHaveRun: false })
    await expect(run('b')).rejects.toMatchObject({ message: 'refused', mayHaveRun: false })
    await clock.run(50)
    expect(dialled).toHaveLength(2)
    await expect(run('c')).rejects.toMatchObject({ message: 'refused' })
    dialled[1]?.up()
    await settle()
    void run('d')
    expect(texts(dialled[1])).toEqual(['d'])
    expect(breaks).toBe(0)
  })

  it('with a wrong argument is refused and harms nobody', async () => {
    const connection = await connected()
    const wrong = port.command('set', ['throws'], { timeoutMs: 100 })
    await expect(wrong).rejects.toMatchObject({ kind: 'other', mayHaveRun: false })
    expect(connection.destroyed).toBe(0)
  })

  it('that is not answered in time costs the connection when nothing else is', async () => {
    const connection = await connected()
    const slow = run('slow')
    const other = run('other', 5000)
    await clock.run(100)
    await expect(slow).rejects.toMatchObject({ kind: 'timeout', mayHaveRun: true })
    await expect(other).rejects.toMatchObject({ kind: 'connection', mayHaveRun: true })
    expect(connection.destroyed).toBe(1)
    expect(breaks).toBe(1)
    expect(dialled).toHaveLength(2)
  })

  it('that is not answered in time costs nothing while others are answered', async () => {
    const connection = await connected()
    const slow = run('slow')
    void run('other')
    connection.sent.at(-1)?.answer('OK')
    await clock.run(100)
    await expect(slow).rejects.toMatchObject({ kind: 'timeout' })
    connection.sent.at(-2)?.answer('too late')
    await settle()
    expect(connection.destroyed).toBe(0)
  })

  it('that arrives after a stall of the event loop is not given up unread', async () => {
    const connection = await connected()
    const answer = run('a')
    // The timer comes first, then what was read, then what the timer put off.
    const stalled = clock.run(100)
    connection.sent.at(-1)?.answer('in time')
    await stalled
    expect(await answer).toBe('in time')
  })

  it('has one timer for each limit, not for each command', async () => {
    await connected()
    for (let at = 0; at < 100; at += 1) void run('a', at % 2 === 0 ? 100 : 200)
    expect(clock.pending).toBe(2)
  })

  it('of a closed port fails, and one under way may have run', async () => {
    await connected()
    const underWay = run('a')
    await port.close()
    await expect(underWay).rejects.toMatchObject({ kind: 'connection', mayHaveRun: true })
    await expect(run('b')).rejects.toMatchObject({ kind: 'connection', mayHaveRun: false })
    expect(clock.pending).toBe(0)
    expect(dialled).toHaveLength(1)
  })
})

describe('the connection', () => {
  it('is made anew at once when it had been up for long, and with pauses when not', async () => {
    const connection = await connected()
    connection.watcher.lost(new Error('cut'))
    expect(dialled).toHaveLength(2)
    dialled[1]?.up()
    await settle()
    dialled[1]?.watcher.lost(new Error('cut'))
    expect(dialled).toHaveLength(2)
    await clock.run(50)
    expect(dialled).toHaveLength(3)
    expect(breaks).toBe(2)
  })

  it('is tried again and again, at most every half second', async () => {
    void run('a')
    for (let round = 0; round < 20; round += 1) {
      dialled.at(-1)?.refuse(new Error('refused'))
      await settle()
      await clock.run(500)
      expect(dialled).toHaveLength(round + 2)
    }
  })

  it('is tried seldom with a password that was refused', async () => {
    const refused = new Error('WRONGPASS invalid username-password pair')
    void run('a')
    for (let round = 0; round < 12; round += 1) {
      const before = dialled.length
      dialled.at(-1)?.refuse(refused)
      await settle()
      // Just until the next dial: one that is left alone would fail by its time limit instead.
      for (let step = 0; dialled.length === before && step < 200; step += 1) await clock.run(100)
      expect(dialled).toHaveLength(before + 1)
    }
    const before = dialled.length
    dialled.at(-1)?.refuse(refused)
    await settle()
    await clock.run(4_000)
    expect(dialled).toHaveLength(before)
  })

  it('that takes too long to be made is given up', async () => {
    void run('a', 5000)
    await clock.run(500)
    expect(dialled[0]?.destroyed).toBe(1)
    dialled[0]?.up()
    await clock.run(50)
    expect(dialled).toHaveLength(2)
    expect(texts(dialled[0])).toEqual([])
  })

  it('to a server that became a replica is made anew when nobody needs it', async () => {
    const connection = await connected()
    const answer = run('set')
    void run('get')
    connection.sent.at(-2)?.fail(new Error("READONLY You can't write"))
    await expect(answer).rejects.toMatchObject({ kind: 'unavailable', mayHaveRun: false })
    expect(connection.destroyed).toBe(0)
    connection.sent.at(-1)?.answer('x')
    void run('set')
    connection.sent.at(-1)?.fail(new Error("READONLY You can't write"))
    await settle()
    expect(connection.destroyed).toBe(1)
    expect(dialled).toHaveLength(2)
  })
})

describe('a subscription', () => {
  const listener = (more: Partial<Listener> = {}): Listener => ({
    message() {},
    ready() {},
    broken() {},
    ...more,
  })

  it('that is refused or not confirmed is asked for again on another connection', async () => {
    let ups = 0
    port.subscribe('news', listener({ ready: () => void (ups += 1) }))
    heard[0]?.up()
    await settle()
    heard[0]?.sent[0]?.fail(new Error('NOPERM no permissions to access the channel'))
    await settle()
    await clock.run(60)
    heard[1]?.up()
    await settle()
    await clock.run(500)
    expect(heard[1]?.destroyed).toBe(1)
    await clock.run(500)
    heard[2]?.up()
    await settle()
    expect(texts(heard[2])).toEqual(['subscribe news'])
    heard[2]?.sent[0]?.answer(1)
    await settle()
    expect(ups).toBe(1)
  })

  it('may be closed and made anew by its own listener', async () => {
    const subscription = port.subscribe(
      'news',
      listener({
        broken() {
          void subscription.close()
          port.subscribe('other', listener())
        },
      }),
    )
    heard[0]?.up()
    await settle()
    heard[0]?.sent[0]?.answer(1)
    await clock.run(2000)
    heard[0]?.watcher.lost(new Error('cut'))
    await clock.run(50)
    expect(heard).toHaveLength(2)
    heard[1]?.up()
    await settle()
    expect(texts(heard[1])).toEqual(['subscribe other'])
  })
})
