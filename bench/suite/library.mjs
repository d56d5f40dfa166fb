import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

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

/** A module of the sources that no build has by itself, such as the scripts for Redis. */
export async function sourceOf(path) {
  const input = fileURLToPath(new URL(`../../src/${path}`, import.meta.url))
  const build = await rolldown({ input, external: /^node:/ })
  const { output } = await build.generate({ format: 'esm' })
  await build.close()
  return await import(`data:text/javascript,${encodeURIComponent(output[0].code)}`)
}
