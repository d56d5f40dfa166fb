import { Family, machineMs, type Root } from './processes.ts'
import { stopAll } from './stop.ts'
import { Voice } from './voice.ts'

/*
 * What the guardian runs: stops the command of a holdfast that was killed, or that is stopped
 * itself and cannot renew its lease.
 */
const [holdfast, pid, start = '', leads, holder = '', grace, lock = '', begun, by, json] =
  process.argv.slice(2)

const voice = new Voice({ json: json === '1', verbose: false, clean: (text) => text })
const name = JSON.stringify(lock)
const root: Root = { pid: Number(pid), start, leads: leads === '1', holder }
/** Holdfast sent SIGTERM already. */
const told = begun === '1'

function isAlive(process_: number): boolean {
  try {
    return process.kill(process_, 0)
  } catch {
    return false
  }
}

/** The grace began when this process did, or before: its start-up must not come on top. */
function graceLeftMs(): number {
  const sinceStart = Number(grace) - performance.now()
  return by ? Math.min(sinceStart, Number(by) - machineMs()) : sinceStart
}

async function stop(): Promise<void> {
  const who = `holdfast (process ${holdfast})`
  const why = isAlive(Number(holdfast))
    ? `${who} does not ${told ? 'end the stop that it began' : 'renew the lease'}`
    : `${who} was killed`
  voice.say('stopping', `lock ${name}: ${why}; the command is stopped.`, { lock })
  // After a SIGTERM of holdfast's the grace runs from that.
  const left = await stopAll(root, told ? Number(by) - machineMs() : graceLeftMs(), told)
  if (left.length > 0) {
    voice.say('left', `lock ${name}: could not stop the processes ${left.join(', ')}.`, {
      lock,
      pids: left,
    })
  }
}

// Holdfast may have done all there was to do.
if (!told || new Family(root).members().length > 0) await stop()
