import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)

/** Says which packages were resolved while the file was imported. */
const HOOK = `
import { writeSync } from 'node:fs'
export async function resolve(specifier, context, next) {
  if (!/^[./]|^node:|^file:/.test(specifier)) writeSync(1, 'package ' + specifier + '\\n')
  return await next(specifier, context)
}
`
const MAIN = `
import { register } from 'node:module'
register('./hook.mjs', import.meta.url)
await import('./engines/redis/index.js')
console.log('done')
`

it('importing holdfast/redis loads no client library', async () => {
  const parent = join(root, 'node_modules', '.cache')
  await mkdir(parent, { recursive: true })
  const folder = await mkdtemp(join(parent, 'holdfast-imports-'))
  try {
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    await run(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', folder])
    await writeFile(join(folder, 'hook.mjs'), HOOK)
    await writeFile(join(folder, 'main.mjs'), MAIN)
    const { stdout } = await run(process.execPath, [join(folder, 'main.mjs')])
    expect(stdout.trim()).toBe('done')
    await writeFile(join(folder, 'main.mjs'), `${MAIN}await import('ioredis')`)
    const { stdout: control } = await run(process.execPath, [join(folder, 'main.mjs')])
    expect(control).toContain('package ioredis')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
