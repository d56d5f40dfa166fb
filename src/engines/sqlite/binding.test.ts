import { expect, it, vi } from 'vitest'
import { UnsupportedError } from '../../core/errors.ts'
import { loadBinding } from './binding.ts'

it('prefers what Node has', () => {
  const opened: unknown[] = []
  class DatabaseSync {
    constructor(...args: unknown[]) {
      opened.push(args)
    }
  }
  const peer = vi.fn()
  loadBinding(() => ({ DatabaseSync }), peer)('locks.db')
  expect(opened).toEqual([['locks.db', { timeout: 0 }]])
  expect(peer).not.toHaveBeenCalled()
})

it('says what to install where there is no SQLite', () => {
  const missing = () => {
    throw new Error('Cannot find module')
  }
  const load = () => loadBinding(() => undefined, missing)
  expect(load).toThrow(UnsupportedError)
  expect(load).toThrow(/Node 22\.13 or newer, or run: npm install @photostructure\/sqlite/)
})

it('opens a file, and leaves the warnings of Node as they were', () => {
  const before = Object.getOwnPropertyDescriptor(process, 'emitWarning')
  const connection = loadBinding()(':memory:')
  expect(connection.prepare('SELECT 7 AS n').get()?.['n']).toBe(7)
  connection.close()
  expect(Object.getOwnPropertyDescriptor(process, 'emitWarning')).toEqual(before)
})
