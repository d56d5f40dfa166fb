import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parse, readWhole, textOf, wordsOf } from '../arguments.ts'
import type { World } from '../commands.ts'
import { explained, open, urlOf } from '../engine.ts'
import { CliError, EXIT } from '../exit.ts'
import { shownUrl } from '../secret.ts'
import { BENCH } from '../specs/running.ts'
import { paperFor } from '../style.ts'
import { table } from '../table.ts'
import { duration, jsonLine } from '../text.ts'
import { CommandCounter } from './commands-sent.ts'
import type { Turn } from './runner.ts'

const RUNNER = fileURLToPath(new URL('./runner.js', import.meta.url))

/** Rounds that warm up connections, scripts and the compiler, and are not counted. */
const WARM_UP_ROUNDS = 100

interface Row {
  readonly work: string
  readonly times: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Commands sent to the server for one of it; `null` where there is no server. */
  readonly commands: number | null
}

/** Measures the engine: what one process sees, and how fast two hand a lock over. */
export async function bench(args: readonly string[], world: World): Promise<number> {
  const parsed = parse(BENCH, args)
  wordsOf(BENCH, parsed, 0)
  const seconds = textOf(parsed, 'seconds')
  const lastMs = readWhole('--seconds', seconds ?? '2', 1, 60) * 1000
  const url = urlOf(parsed, world.env)
  const json = parsed.options['json'] === true
  const progress = progressOn(world, json)
  const counter = await CommandCounter.start(url)
  const name = `bench:${randomBytes(4).toString('hex')}`
  const holdfast = await open(url)
  try {
    const engine = holdfast.engine.name
    progress(`Taking and releasing on ${engine} …`)
    const alone = await explained(url, async () => {
      return await takeAndRelease(async () => await holdfast.mutex(name).acquire(), lastMs, counter)
    })
    progress('Handing over between two processes …')
    const handoff = await handOver(`${name}:handoff`, url, lastMs)
    progress('')
    const where = url === undefined ? 'the file of this user' : shownUrl(url)
    if (json) {
      const rows = [...alone, handoff]
      world.stdout.write(`${jsonLine({ engine, where, rows })}\n`)
    } else {
      world.stdout.write(picture(engine, where, [...alone, handoff], world))
    }
    return EXIT.ok
  } finally {
    progress('')
    await holdfast.close()
  }
}

async function takeAndRelease(
  acquire: () => Promise<{ release: () => Promise<boolean> }>,
  lastMs: number,
  counter: CommandCounter,
): Promise<Row[]> {
  const taken: number[] = []
  const released: number[] = []
  const sent = { taking: 0, releasing: 0 }
  for (
    let round = -WARM_UP_ROUNDS, end = Number.POSITIVE_INFINITY;
    performance.now() < end;
    round++
  ) {
    if (round === 0) end = performance.now() + lastMs
    const [before, start] = [counter.sent, performance.now()]
    const lease = await acquire()
    const [middle, between] = [performance.now(), counter.sent]
    await lease.release()
    if (round < 0) continue
    taken.push(middle - start)
    released.push(performance.now() - middle)
    sent.taking += between - before
    sent.releasing += counter.sent - between
  }
  const each = (total: number): number | null => (counter.counts ? total / taken.length : null)
  return [
    row('take a free lock', taken, each(sent.taking)),
    row('release it', released, each(sent.releasing)),
  ]
}

interface Told {
  readonly turns: readonly Turn[]
  readonly sent: number
  readonly counts: boolean
  readonly error?: string
}

/** Two processes take one lock in turn; the gap is from one's release to the other's grant. */
async function handOver(name: string, url: string | undefined, lastMs: number): Promise<Row> {
  const runners = [0, 1].map(() => fork(RUNNER, [], { execArgv: [] }))
  const ends = runners.map(async (runner) => {
    const gone = once(runner, 'exit').then(([code]): Told => {
      return {
        turns: [],
        sent: 0,
        counts: false,
        error: `a process of the bench ended with ${code}`,
      }
    })
    const told = once(runner, 'message').then(([message]) => message as Told)
    return await Promise.race([told, gone])
  })
  try {
    // The URL goes through a pipe: arguments and environments can be read by others.
    for (const runner of runners) runner.send({ name, url, lastMs })
    const told = await Promise.all(ends)
    const failed = told.find(({ error }) => error !== undefined)
    if (failed !== undefined) throw new CliError(EXIT.unavailable, String(failed.error))
    const gaps = gapsOf(told.map(({ turns }) => turns))
    const grants = told.reduce((sum, one) => sum + one.turns.length, 0)
    const sent = told.reduce((sum, one) => sum + one.sent, 0)
    const counts = told.every((one) => one.counts)
    return row('hand it over to a process in line', gaps, counts ? sent / grants : null)
  } finally {
    for (const runner of runners) runner.kill('SIGKILL')
  }
}

/** Times from a release in one process to the grant in the other, by the order of the fences. */
export function gapsOf(turns: readonly (readonly Turn[])[]): number[] {
  const all = turns
    .flatMap((some, process_) => some.map((turn) => ({ ...turn, process_ })))
    .sort((a, b) => a.fence - b.fence)
  return all.flatMap(({ grantedMs, process_ }, index) => {
    const before = all[index - 1]
    if (before === undefined || before.process_ === process_) return []
    return [Math.max(0, grantedMs - before.releasedMs)]
  })
}

function row(work: string, times: readonly number[], commands: number | null): Row {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0
  const total = sorted.reduce((sum, one) => sum + one, 0)
  const perSecond = total === 0 ? 0 : Math.round((sorted.length / total) * 1000)
  const two = (n: number): number => Math.round(n * 1000) / 1000
  const told = commands === null ? null : Math.round(commands * 100) / 100
  return {
    work,
    times: sorted.length,
    perSecond,
    p50Ms: two(at(0.5)),
    p99Ms: two(at(0.99)),
    commands: told,
  }
}

function picture(engine: string, where: string, rows: readonly Row[], world: World): string {
  const shape = [
    { title: 'WHAT', least: 12 },
    { title: 'MEDIAN', right: true },
    { title: '99 %', right: true },
    { title: 'PER SECOND', right: true, spare: 2 },
    { title: 'COMMANDS', right: true, spare: 1 },
  ]
  const cells = rows.map(({ work, p50Ms, p99Ms, perSecond, commands }) => [
    work,
    duration(p50Ms),
    duration(p99Ms),
    String(perSecond),
    commands === null ? 'none' : String(commands),
  ])
  const lines = table(shape, cells, paperFor(world))
  return `${engine}: ${where}\n\n${lines.join('\n')}\n`
}

/** A line that says what goes on, on a terminal only; the next one takes its place. */
function progressOn({ stdout, stderr }: World, json: boolean): (text: string) => void {
  if (json || !stdout.isTTY) return () => {}
  return (text) => void stderr.write(`\r\u001b[K${text}`)
}
