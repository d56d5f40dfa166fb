import { stopAll } from './stop.ts'
import { Voice } from './voice.ts'

/*
 * What the guardian runs: stops the command of a holdfast that was killed, or that is stopped
 * itself and cannot renew its lease.
 */
const [holdfast, pid, start = '', leads, holder = '', graceMs, lock = ''] = process.argv.slice(2)

const voice = new Voice({ json: false, verbose: false, clean: (text) => text })
const name = JSON.stringify(lock)

function isAlive(process_: number): boolean {
  try {
    return process.kill(process_, 0)
  } catch {
    return false
  }
}

const why = isAlive(Number(holdfast))
  ? `holdfast (process ${holdfast}) does not renew the lease`
  : `holdfast (process ${holdfast}) was killed`
voice.say('stopping', `lock ${name}: ${why}; the command is stopped.`)
const left = await stopAll(
  { pid: Number(pid), start, leads: leads === '1', holder },
  Number(graceMs),
)
if (left.length > 0) {
  voice.say('left', `lock ${name}: could not stop the processes ${left.join(', ')}.`)
}
