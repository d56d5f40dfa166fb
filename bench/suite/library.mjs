import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the built library that is measured; `--library` or `dist/`. */
export function libraryFolder() {
  const chosen = process.env.HOLDFAST_BENCH_LIBRARY
  return chosen ? resolve(chosen) : fileURLToPath(new URL('../../dist', import.meta.url))
}
