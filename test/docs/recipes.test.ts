import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, type Holdfast } from 'holdfast'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { obtain } from '../../scripts/servers.mjs'
import { type RunningServer, startServer } from '../support/servers.ts'

const page = readFileSync(
  fileURLToPath(new URL('../../docs/migrating.md', import.meta.url)),
  'utf8',
)

function block(language: string): string {
  const code = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(page)?.[1]
  if (code === undefined) throw new Error(`docs/migrating.md has no block of ${language}`)
  return code
}

describe('the plain recipe in docs/migrating.md', () => {
  let server: RunningServer
  let holdfast: Holdfast

  beforeAll(async () => {
    server = await startServer()
    holdfast = await connect(server.url, { prefix: '' })
  })

  afterAll(async () => {
    await holdfast.close()
    await server.stop()
  })

  /** What the program said, and its exit code. */
  async function run(language: 'sh' | 'python'): Promise<[said: string, code: number]> {
    const code = block(language).replaceAll('6379', String(server.port))
    const { command, env } = await interpreter(language)
    return await new Promise((resolve) => {
      execFile(command, ['-c', code], { env }, (error, stdout) => {
        resolve([stdout.split('\n')[0] ?? '', typeof error?.code === 'number' ? error.code : 0])
      })
    })
  }

  it.each(['sh', 'python'] as const)('excludes ours and is excluded, in %s', async (language) => {
    expect(await run(language)).toEqual(['mine', 0])
    await holdfast.mutex('report').run(async () => {
      expect(await run(language)).toEqual(['try again later', 75])
    })
    expect(await run(language)).toEqual(['mine', 0])
    expect(await server.call('exists', 'report')).toBe(0)
  })
})

async function interpreter(
  language: 'sh' | 'python',
): Promise<{ command: string; env: NodeJS.ProcessEnv }> {
  if (language === 'python')
    return { command: (await obtain('python3-redis')).bin, env: process.env }
  const beside = dirname((await obtain('redis-7.0')).bin)
  const path = existsSync(join(beside, 'redis-cli'))
    ? `${beside}:${process.env['PATH']}`
    : undefined
  return { command: 'sh', env: { ...process.env, ...(path === undefined ? {} : { PATH: path }) } }
}
