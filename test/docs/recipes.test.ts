import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, type Holdfast } from 'holdfast'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { obtain } from '../../scripts/servers.mjs'
import { type RunningServer, startServer } from '../support/servers.ts'

const MINE = 'mine'
const LATER = 'try again later'

/** Programs that stay on the recipe, and what they say when they have the lock and when not. */
const programs = [
  { page: 'docs/migrating.md', language: 'sh', mine: MINE, later: LATER },
  { page: 'docs/migrating.md', language: 'python', mine: MINE, later: LATER },
  { page: 'README.zh-CN.md', language: 'python', mine: '轮到我了', later: '别人正在做' },
] as const

type Program = (typeof programs)[number]

function block({ page: path, language }: Program): string {
  const page = readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')
  const code = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(page)?.[1]
  if (code === undefined) throw new Error(`${path} has no block of ${language}`)
  return code
}

describe('the plain recipe', () => {
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
  async function run(program: Program): Promise<[said: string, code: number]> {
    const code = block(program).replaceAll('6379', String(server.port))
    const { command, env } = await interpreter(program.language)
    return await new Promise((resolve) => {
      execFile(command, ['-c', code], { env }, (error, stdout) => {
        resolve([stdout.split('\n')[0] ?? '', typeof error?.code === 'number' ? error.code : 0])
      })
    })
  }

  it.each(programs)('in $language in $page excludes ours and is excluded', async (program) => {
    expect(await run(program)).toEqual([program.mine, 0])
    await holdfast.mutex('report').run(async () => {
      expect(await run(program)).toEqual([program.later, 75])
    })
    expect(await run(program)).toEqual([program.mine, 0])
    expect(await server.call('exists', 'report')).toBe(0)
  })
})

async function interpreter(
  language: 'sh' | 'python',
): Promise<{ command: string; env: NodeJS.ProcessEnv }> {
  if (language === 'python')
    return {
      command: (await obtain('python3-redis')).bin,
      env: { ...process.env, PYTHONIOENCODING: 'utf-8' },
    }
  const beside = dirname((await obtain('redis-7.0')).bin)
  const path = existsSync(join(beside, 'redis-cli'))
    ? `${beside}:${process.env['PATH']}`
    : undefined
  return { command: 'sh', env: { ...process.env, ...(path === undefined ? {} : { PATH: path }) } }
}
