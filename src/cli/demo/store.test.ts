import { expect, it } from 'vitest'
import { GuardedStore } from './store.ts'

it('the store refuses a smaller fence than the largest it saw, and nothing else', () => {
  const store = new GuardedStore()
  expect(store.write(7)).toEqual({ accepted: true, largest: 0 })
  expect(store.write(7)).toEqual({ accepted: true, largest: 7 })
  expect(store.write(9)).toEqual({ accepted: true, largest: 7 })
  expect(store.write(8)).toEqual({ accepted: false, largest: 9 })
  expect(store.write(9)).toEqual({ accepted: true, largest: 9 })
})
