import { expect, it } from 'vitest'
import { rig } from '../../test/support/rig.ts'
import { observe } from './observation.ts'

it('ends without the failure that comes together with the end', async () => {
  const { core } = rig().process().holdfast
  const controller = new AbortController()
  let fail: (error: Error) => void = () => undefined
  let began = (): void => undefined
  const beginning = new Promise<void>((resolve) => {
    began = resolve
  })
  const look = () => {
    began()
    return new Promise<never>((_, reject) => {
      fail = reject
    })
  }
  const { signal } = controller
  const looked = observe(core, { name: 'e', look, intervalMs: 1000, signal }).next()
  await beginning
  fail(new Error('the engine broke'))
  // The failure has won over the signal, and nobody was told of it yet.
  queueMicrotask(() => controller.abort())
  expect(await looked).toEqual({ done: true, value: undefined })
})
