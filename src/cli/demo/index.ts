import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { World } from '../commands.ts'
import { EXIT } from '../exit.ts'
import { withoutSecrets } from '../secret.ts'
import { Interruption } from './interruption.ts'
import { JsonTeller } from './json.ts'
import { LinesTeller } from './lines.ts'
import { type Look, Narrator } from './narrator.ts'
import { type DemoOptions, readOptions } from './options.ts'
import type { Setting } from './outcome.ts'
import { ascii, colourPaint, plainPaint, unicode } from './paint.ts'
import { ScreenTeller } from './screen.ts'
import { type DemoServer, openServer } from './server.ts'
import { Story } from './story.ts'
import type { Teller } from './teller.ts'

/** Where the demo finds its programs and a running server; for tests, elsewhere. */
export interface Surroundings {
  readonly workerFile: string
  readonly keeperFile: string
  readonly localPort: number
}

const HERE: Surroundings = {
  workerFile: fileURLToPath(new URL('./worker.js', import.meta.url)),
  keeperFile: fileURLToPath(new URL('./keeper.js', import.meta.url)),
  localPort: 6379,
}

/** Life of a lease; short where a dead holder's is waited for. */
const TTL_MS = { line: 10_000, try: 10_000, crash: 2000 } as const

/** Width of what is written into a file. */
const FILE_WIDTH = 80

/** Plays the demo and resolves to its exit code. */
export async function demo(
  args: readonly string[],
  world: World,
  surroundings: Surroundings = HERE,
): Promise<number> {
  const options = readOptions(args, world.env)
  const interruption = new Interruption(world.stdout)
  const teller = tellerFor(options, world)
  // However this process ends, its terminal gets its cursor back.
  const onExit = (): void => teller.close()
  process.on('exit', onExit)
  try {
    const ok = await play(options, world, { surroundings, teller, stop: interruption.signal })
    return interruption.exitCode ?? (ok ? EXIT.ok : EXIT.failed)
  } catch (error) {
    if (interruption.exitCode !== undefined) return interruption.exitCode
    throw error
  } finally {
    teller.close()
    process.off('exit', onExit)
    interruption.end()
  }
}

async function play(
  options: DemoOptions,
  world: World,
  means: { surroundings: Surroundings; teller: Teller; stop: AbortSignal },
): Promise<boolean> {
  const { surroundings, teller, stop } = means
  const { workerFile, keeperFile, localPort } = surroundings
  const { url, redis } = options
  const search = { url, redis, env: world.env, keeperFile, port: localPort, stop }
  const server = await openServer(search)
  try {
    if (stop.aborted) return false
    teller.server(server.description)
    const setting = settingOf(options, server, world.env)
    const clean = (text: string): string => withoutSecrets(text, url ?? '')
    return (await new Story({ setting, server, workerFile, teller, clean, stop }).play()).ok
  } finally {
    await server.stop()
  }
}

function settingOf(options: DemoOptions, server: DemoServer, env: NodeJS.ProcessEnv): Setting {
  const { scene, processes, taskMs } = options
  const isOwnFile = server.folder !== undefined
  return {
    scene,
    // A name of its own: the demo meets no other lock, and no other demo.
    lock: `demo:${randomBytes(4).toString('hex')}`,
    names: Array.from({ length: processes }, (_, index) => `P${index + 1}`),
    taskMs,
    ttlMs: TTL_MS[scene],
    engine: server.engine,
    server: server.description,
    ...(isOwnFile ? { advice: `The same on Redis: ${repeat(options, env)} --redis` } : {}),
  }
}

/** The command that plays the same scene again, the way it was called. */
function repeat({ scene }: DemoOptions, env: NodeJS.ProcessEnv): string {
  const callers: Record<string, string> = { npx: 'npx holdfast demo', demo: 'npm run demo --' }
  const command = callers[env['npm_lifecycle_event'] ?? ''] ?? 'holdfast demo'
  return scene === 'line' ? command : `${command} --${scene}`
}

function tellerFor({ json }: DemoOptions, { stdout, env }: World): Teller {
  const write = (text: string): void => void stdout.write(text)
  if (json) return new JsonTeller(write)
  const isDumb = env['TERM'] === 'dumb'
  const width = (): number => Math.max(24, (stdout.columns || FILE_WIDTH) - 1)
  const glyphs = isDumb || env['TERM'] === 'linux' ? ascii : unicode
  if (!stdout.isTTY || isDumb || env['NO_COLOR']) {
    const look: Look = { glyphs, paint: plainPaint, width, wraps: stdout.isTTY === true }
    return new LinesTeller(write, new Narrator(look))
  }
  const paint = colourPaint(stdout.getColorDepth() >= 8)
  const look: Look = { glyphs, paint, width, wraps: true }
  return new ScreenTeller(stdout, new Narrator(look), look)
}
