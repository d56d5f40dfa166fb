import { AsyncLocalStorage } from 'node:async_hooks'
import type { Context } from '../core/context.ts'

/** What asynchronous work of this process carries along. */
export function asyncContext<T>(): Context<T> {
  return new AsyncLocalStorage<T>()
}
