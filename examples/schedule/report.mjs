/**
 * A job that runs once per tick on one of many machines. Start it on each of them, or a few times
 * on one: `node examples/schedule/report.mjs redis://localhost:6379 "*\/5 * * * * *"`.
 */
import { Cron } from 'croner'
import { connect, oncePer } from 'holdfast'

const [url = 'redis://localhost:6379', pattern = '*/5 * * * * *'] = process.argv.slice(2)

const holdfast = await connect(url, { label: 'nightly report' })
const mutex = holdfast.mutex('schedule:report')

const cron = new Cron(pattern, { catch: (error) => console.error(error) })
// The time between two ticks: every machine has the same pattern, so all get the same.
const [first, second] = cron.nextRuns(2)
const periodMs = Number(second) - Number(first)

cron.schedule(async () => {
  const tick = cron.currentRun()?.toISOString()
  const { ran } = await oncePer(mutex, periodMs, ({ fence }) => {
    console.log(`${tick} ran here, fence ${fence}`)
  })
  if (!ran) console.log(`${tick} runs elsewhere`)
})

async function stop() {
  cron.stop()
  await holdfast.close()
}
process.once('SIGINT', stop)
process.once('SIGTERM', stop)
