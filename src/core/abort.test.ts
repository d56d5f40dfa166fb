import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { anyOf, onAbort } from './abort.ts'

describe('onAbort', () => {
  it('calls everybody once, over one listener', () => {
    const controller = new AbortController()
    const told: number[] = []
    for (let number = 0; number < 20; number++) {
      onAbort(controller.signal, () => told.push(number))
    }
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
    controller.abort()
    expect(told).toHaveLength(20)
  })

  it('leaves no listener once nobody waits', () => {
    const { signal } = new AbortController()
    const told: string[] = []
    const same = () => told.push('told')
    const [first, second] = [onAbort(signal, same), onAbort(signal, same)]
    first()
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    second()
    second()
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    onAbort(signal, same)
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    expect(told).toEqual([])
  })

  it('may be taken back while it is told', () => {
    const controller = new AbortController()
    const stop = onAbort(controller.signal, () => stop())
    controller.abort()
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
  })
})

describe('anyOf', () => {
  it('aborts with the first, for its reason', () => {
    const [one, other] = [new AbortController(), new AbortController()]
    const [signal] = anyOf([one.signal, other.signal])
    other.abort('other')
    one.abort('one')
    expect(signal.reason).toBe('other')
  })

  it('has aborted where one of them has', () => {
    const [signal] = anyOf([new AbortController().signal, AbortSignal.abort('before')])
    expect(signal.reason).toBe('before')
  })

  it('leaves no listener once it is let go', () => {
    const controller = new AbortController()
    const [signal, letGo] = anyOf([controller.signal])
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
    letGo()
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    controller.abort('late')
    expect(signal.aborted).toBe(false)
  })
})
