import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../core/clock.ts'
import type { Connection, Watcher } from './connection.ts'
import { NotSent } from './failure.ts'
import { SwitchNews } from './switch-news.ts'

const OLD = '10.0.0.1:6379'
const NEW = '10.0.0.2:6379'
const SWITCH = 'main 10.0.0.1 6379 10.0.0.2 6379'

async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** Two Sentinels, whose answers and messages the test gives. */
function world() {
  let now = 0
  const clock: Clock = { now: () => now, setTimer: () => ({ cancel() {} }) }
  const watchers = new Map<string, Watcher>()
  const answers = new Map<string, unknown>()
  const dialled: string[] = []
  let open = 0
  const news = new SwitchNews(
    { clock, connectTimeoutMs: 1000 },
    {
      name: 'main',
      sentinels: ['a', 'b'],
      dial: (sentinel) => (watcher) => {
        dialled.push(sentinel)
        open += 1
        let isOpen = true
        return {
          open: async () => {},
          send: async () => answers.get(sentinel),
          subscribe: async () => void watchers.set(sentinel, watcher),
          destroy: () => {
            open -= isOpen ? 1 : 0
            isOpen = false
          },
        }
      },
    },
  )
  const lost: string[] = []
  const guard = (named: string): Connection =>
    news.guard(
      { open: async () => {}, send: async () => 1, subscribe: async () => 1, destroy() {} },
      { lost: (error) => lost.push(String(error)), message() {} },
      () => named,
    )
  return {
    news,
    answers,
    dialled,
    lost,
    guard,
    say: (sentinel: string, text: string) =>
      watchers.get(sentinel)?.message('+switch-master', text),
    pass: (ms: number) => {
      now += ms
    },
    get open() {
      return open
    },
  }
}

describe('news of a switch', () => {
  it('ends the connections to another server, and only those', async () => {
    const { guard, lost, say } = world()
    guard(OLD)
    guard(NEW)
    guard('')
    guard(OLD).destroy()
    await settle()
    say('b', 'other 10.0.0.1 6379 10.0.0.2 6379')
    expect(lost).toEqual([])
    say('b', SWITCH)
    expect(lost).toEqual([`Error: the Sentinels have made ${NEW} the primary`])
  })

  it('keeps from the server that was left, until it is named again or some time is over', async () => {
    const { guard, say, pass, news } = world()
    await guard(OLD).open()
    await settle()
    say('b', SWITCH)
    expect(news.order).toEqual(['b', 'a'])
    await expect(guard(OLD).open()).rejects.toBeInstanceOf(NotSent)
    await guard(NEW).open()
    pass(9999)
    await expect(guard(OLD).open()).rejects.toThrow(`have left ${OLD}`)
    pass(1)
    await guard(OLD).open()
    say('a', SWITCH)
    say('a', 'main 10.0.0.2 6379 10.0.0.1 6379')
    await guard(OLD).open()
    await expect(guard(NEW).open()).rejects.toThrow(`have left ${NEW}`)
  })

  it('asks what was said before it listened', async () => {
    const { guard, lost, answers, news } = world()
    answers.set('a', ['10.0.0.2', '6379'])
    guard(OLD)
    await settle()
    expect(lost).toHaveLength(1)
    expect(news.order).toEqual(['a', 'b'])
  })

  it('leaves nothing open, and listens no more', async () => {
    const one = world()
    one.guard(OLD)
    await settle()
    expect(one.dialled.toSorted()).toEqual(['a', 'a', 'b', 'b'])
    expect(one.open).toBe(2)
    one.news.close()
    expect(one.open).toBe(0)
    one.guard(OLD)
    await settle()
    expect(one.dialled).toHaveLength(4)
  })
})
