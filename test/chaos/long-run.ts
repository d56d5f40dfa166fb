import { parseArgs } from 'node:util'
import { campaign, type Row } from './campaign.ts'
import { clockShim } from './clock-shim.ts'
import { moment } from './crew.ts'
import { type Outcome, run } from './laboratory.ts'
import { record } from './record.ts'
import { line, table, tables } from './report.ts'

const USAGE = `npm run chaos -- [options]
  --kind a,b     only these faults: their names as printed, such as kill-holder, soak
  --on a,b       only on these: one, "by hand", sentinel, cluster, quorum, sqlite
  --count N      faults of each kind, 200
  --seed N       where chance begins; the present time
  --parallel N   runs at the same time, 3
  --minutes N    begins no new run after so long
  --slack N      ms that service may take longer to resume, on a machine that others use as well
  --record T     writes the figures into these tables of test/chaos/RECORD.md: faults,recovery`

/** The long run; resolves to the exit status. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      kind: { type: 'string' },
      on: { type: 'string' },
      count: { type: 'string', default: '200' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      parallel: { type: 'string', default: '3' },
      minutes: { type: 'string', default: 'Infinity' },
      slack: { type: 'string', default: '0' },
      record: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(USAGE)
    return 0
  }
  const seed = Number(values.seed)
  const slackMs = Number(values.slack)
  const rows = await chosen(Number(values.count), values.kind?.split(','), values.on?.split(','))
  if (rows.length === 0) {
    console.error(`Nothing is called that.\n${USAGE}`)
    return 2
  }
  console.log(`${rows.length} rows, seed ${seed}: repeat with npm run chaos -- --seed ${seed}`)
  const endMs = moment() + Number(values.minutes) * 60_000
  const recorded = values.record?.split(',') ?? []
  const results: Result[] = []
  const queue = [...rows]
  const lane = async (): Promise<void> => {
    for (;;) {
      const row = moment() < endMs ? queue.shift() : undefined
      if (row === undefined) return
      const result = { row, outcomes: await perform(row, seed, slackMs) }
      results.push(result)
      const whole = result.outcomes.length === row.parts.length
      for (const name of whole ? recorded : []) record(name, row, result.outcomes)
    }
  }
  await Promise.all(Array.from({ length: Number(values.parallel) }, lane))
  for (const { head, rowOf } of Object.values(tables)) {
    console.log(
      table(
        head,
        results.map(({ row, outcomes }) => rowOf(row, outcomes)),
      ),
    )
  }
  const broken = results.flatMap(({ outcomes }) => outcomes.flatMap((each) => each.violations))
  console.log(`${results.length} of ${rows.length} rows done, ${broken.length} promises broken`)
  if (failures.length > 0) console.log(`without a verdict: ${failures.join(', ')}`)
  return broken.length + failures.length > 0 ? 1 : 0
}

/** Scenarios that ended without a verdict. */
const failures: string[] = []

interface Result {
  readonly row: Row
  readonly outcomes: readonly Outcome[]
}

async function chosen(
  count: number,
  kinds: readonly string[] | undefined,
  grounds: readonly string[] | undefined,
): Promise<Row[]> {
  const clocks = (await clockShim()) !== undefined
  return campaign(count).filter(
    ({ fault, on, parts }) =>
      (kinds?.includes(fault) ?? true) &&
      (grounds?.includes(on) ?? true) &&
      (clocks ||
        !parts.some(({ scenario }) => scenario.faults.some(({ kind }) => /clock/.test(kind)))),
  )
}

async function perform({ parts }: Row, seed: number, slackMs: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const { scenario, strikes } of parts) {
    const tell = (text: string): void => console.log(`  ${text}`)
    try {
      const outcome = await run(scenario, { seed, strikes, forMs: 900_000, slackMs, tell })
      console.log(line(outcome))
      outcomes.push(outcome)
    } catch (error) {
      // What a run did not show must not be taken for a kept promise.
      console.error(`${scenario.name} could not be run`, error)
      failures.push(scenario.name)
    }
  }
  return outcomes
}
