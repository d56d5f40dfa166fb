import { parse, readWhole, textOf, wordsOf } from '../arguments.ts'
import { urlOf } from '../engine.ts'
import { usageError } from '../exit.ts'
import { DEMO, LONGEST_TASK_MS, MOST_PROCESSES } from '../specs/running.ts'

/** Which story is played: everybody in turn, everybody once, or a holder that dies. */
export type Scene = 'line' | 'try' | 'crash'

export interface DemoOptions {
  readonly scene: Scene
  readonly processes: number
  readonly taskMs: number
  /** `undefined`: a file of the demo's own, or with `redis` a server that is found or started. */
  readonly url: string | undefined
  readonly redis: boolean
  readonly json: boolean
}

/** Reads the demo's arguments, or throws the error that names the wrong one. */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): DemoOptions {
  const parsed = parse(DEMO, args)
  const { try: tries, crash, redis = false, json = false } = parsed.options
  wordsOf(DEMO, parsed, 0)
  if (tries && crash) throw usageError('--try and --crash are two scenes: choose one.')
  const scene = tries ? 'try' : crash ? 'crash' : 'line'
  const processes = readWhole('--processes', textOf(parsed, 'processes') ?? '5', 1, MOST_PROCESSES)
  if (scene === 'crash' && processes < 2) {
    throw usageError('--crash needs at least 2 processes: one dies, one follows.')
  }
  const taskMs = readWhole('--task-ms', textOf(parsed, 'task-ms') ?? '1200', 1, LONGEST_TASK_MS)
  const given = textOf(parsed, 'url')
  if (redis && given !== undefined)
    throw usageError('--redis finds a server, --url is one: choose.')
  const url = redis ? undefined : urlOf(parsed, env)
  return { scene, processes, taskMs, url, redis: redis === true, json: json === true }
}
