import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the built library that is measured; `--library` or `dist/`. */
export function libraryFolder() {
  const chosen = process.env.HOLDFAST_BENCH_LIBRARY
  return chosen ? resolve(chosen) : fileURLToPath(new URL('../../dist', import.meta.url))
}

/** Another build that is measured in the same rounds; `--against`. */
export function otherFolder() {
  const chosen = process.env.HOLDFAST_BENCH_AGAINST
  return chosen ? resolve(chosen) : undefined
}
