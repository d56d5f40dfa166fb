import { readArguments, readWhole } from '../arguments.ts'
import { usageError } from '../exit.ts'

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

const MOST_PROCESSES = 50
const LONGEST_TASK_MS = 3_600_000

export const HELP: string = `Watch processes compete for one lock, and see that one at a time held it.

Usage: holdfast demo [options]

  --processes <n>   How many processes compete: 1 to ${MOST_PROCESSES}, 5 by default.
  --task-ms <ms>    Length of the task: 1 to ${LONGEST_TASK_MS}, 1200 by default.
  --try             Each process tries once, all at the same moment: one gets the lock, the
                    others give up. The task lasts until the last of them has tried.
  --crash           The first holder is killed in the middle of its task. Shows how the next
                    one gets in, and how the fence stops the dead one's late write.
  --url <url>       Where the lock is kept, such as redis://host:6379; HOLDFAST_URL by default.
                    Without either, in a SQLite file of the demo's own: only Node is needed.
  --redis           Finds a Redis or Valkey: the one at localhost:6379, else a redis-server or
                    valkey-server from PATH (or HOLDFAST_REDIS_SERVER) that is started for the
                    demo and stopped after.
  --json            One JSON object per event and line; the last one is the summary.
  -h, --help        Show this help.

Colours and redrawing are for terminals; NO_COLOR or TERM=dumb turns them off.

Each JSON line has a "type" and "atMs", milliseconds since the common start. The summary:
  type "summary"    scene, lock, engine, processes, durationMs, interrupted, ok
  granted, refused  how many processes got the lock, and how many did not
  completed, killed, failed                how many tasks ended well, died, went wrong
  overlaps, maxConcurrentHolders           computed from the intervals, not asked of the lock
  staleWritesRefused                       writes that the fence stopped
  intervals         who held the lock when: process, fence, fromMs, toMs, ending

Exit codes: 0 nobody overlapped and everybody got what was due; 1 otherwise; 64 wrong usage;
69 no place for the lock, or it cannot be used; 128 + n ended by signal n, as 130 after Ctrl-C.
`

/** Reads the demo's arguments, or throws the error that names the wrong one. */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): DemoOptions | 'help' {
  const flags = readArguments('holdfast demo', args, {
    processes: { type: 'string' },
    'task-ms': { type: 'string' },
    try: { type: 'boolean' },
    crash: { type: 'boolean' },
    url: { type: 'string' },
    redis: { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  })
  if (flags.help) return 'help'
  if (flags.try && flags.crash) throw usageError('--try and --crash are two scenes: choose one.')
  const scene = flags.try ? 'try' : flags.crash ? 'crash' : 'line'
  const processes = readWhole('--processes', flags.processes ?? '5', 1, MOST_PROCESSES)
  if (scene === 'crash' && processes < 2) {
    throw usageError('--crash needs at least 2 processes: one dies, one follows.')
  }
  const taskMs = readWhole('--task-ms', flags['task-ms'] ?? '1200', 1, LONGEST_TASK_MS)
  const { url: given, redis = false, json = false } = flags
  if (redis && given !== undefined)
    throw usageError('--redis finds a server, --url is one: choose.')
  const url = redis ? undefined : (given ?? (env['HOLDFAST_URL'] || undefined))
  if (url !== undefined) checkUrl(url)
  return { scene, processes, taskMs, url, redis, json }
}

function checkUrl(url: string): void {
  if (/^memory:/i.test(url)) {
    throw usageError('memory: locks live within one process; the demo has several.')
  }
}
