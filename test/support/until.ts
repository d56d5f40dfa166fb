import { relative } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export interface UntilOptions {
  /** Names what is awaited, so that a failure reads as a sentence: "the replica to be linked". */
  what: string
  timeoutMs?: number
  everyMs?: number
}

/**
 * Waits for a condition and gives its first truthy value. A condition that throws counts as not
 * met yet; its last error becomes the cause of the failure.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { what, timeoutMs = 10_000, everyMs = 5 }: UntilOptions,
): Promise<Truthy<T>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    let cause: unknown
    try {
      const value = await condition()
      if (value) return value as Truthy<T>
    } catch (error) {
      cause = error
    }
    if (performance.now() >= deadline) {
      throw new Error(`waited ${timeoutMs} ms in vain for ${what}`, { cause })
    }
    await wait(everyMs)
  }
}

type Truthy<T> = Exclude<T, false | null | undefined | 0 | ''>

/**
 * Gives the seed of a random run, `HOLDFAST_SEED` or a fresh one, and prints how to repeat it.
 * Pass `import.meta.url` of the test file.
 */
export function seed(file: string): number {
  const chosen = process.env['HOLDFAST_SEED']
  const value = chosen === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(chosen)
  if (!Number.isSafeInteger(value)) {
    throw new TypeError(`HOLDFAST_SEED must be an integer, got ${chosen}`)
  }
  const path = relative(process.cwd(), file.startsWith('file:') ? fileURLToPath(file) : file)
  console.log(`seed ${value}: repeat with HOLDFAST_SEED=${value} npx vitest run ${path}`)
  return value
}

/** Makes a generator of numbers in [0, 1) that gives the same series for the same seed. */
export function randomFrom(start: number): () => number {
  let state = start >>> 0
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
