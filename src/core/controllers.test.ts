import { describe, expect, it } from 'vitest'
import { Controllers } from './controllers.ts'

describe('Controllers', () => {
  it('are used again, unless they have aborted', () => {
    const controllers = new Controllers()
    const [first, second] = [controllers.take(), controllers.take()]
    expect(first).not.toBe(second)
    first.abort('over')
    controllers.giveBack(first)
    controllers.giveBack(second)
    expect(controllers.take()).toBe(second)
    expect(controllers.take().signal.aborted).toBe(false)
  })

  it('are kept by the thousand, and no more', () => {
    const controllers = new Controllers()
    const all = new Set(Array.from({ length: 1001 }, () => controllers.take()))
    for (const each of all) controllers.giveBack(each)
    const again = Array.from({ length: 1001 }, () => controllers.take())
    expect(again.filter((each) => all.has(each))).toHaveLength(1000)
  })
})
