import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { onAbort } from './abort.ts'

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
