import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { machineMs, type Root } from './processes.ts'

const STOPPER = fileURLToPath(new URL('./stopper.js', import.meta.url))

/** Bash first: it can wait for a line with a time limit, which some other shells cannot. */
const SHELLS = ['/bin/bash', '/usr/bin/bash', '/usr/local/bin/bash', '/bin/sh', '/usr/bin/sh']

/*
 * Its input says which process to guard and how long the lease is good for, again after each
 * renewal. When the input ends without "done", or nothing was said in time, it has the command
 * stopped. Shells differ in whether a limit may be a fraction, and whether there is one at all.
 */
const SCRIPT = `
trap '' HUP INT QUIT TERM
node=$1 stopper=$2 holdfast=$3 holder=$4 grace=$5 lock=$6 json=$7
child=0 start= leads=0 left= timed= by= stopping=0
if err=$( { read -r -t 0.01 _ </dev/null; } 2>&1 ); [ -z "$err" ]; then timed=fraction
elif err=$( { read -r -t 1 _ </dev/null; } 2>&1 ); [ -z "$err" ]; then timed=whole
fi
while :; do
  if [ -n "$timed" ] && [ -n "$left" ]
  then read -r -t "$left" what value more || break
  else read -r what value more || break
  fi
  case $what in
    group) child=$value start=$more leads=1 ;;
    child) child=$value start=$more ;;
    left|stop)
      left=$value by=$more
      [ "$what" = left ] || stopping=1
      if [ "$timed" = whole ]; then
        left=\${value%%.*}
        [ "\${left:-0}" -gt 0 ] || left=1
      fi ;;
    done) exit 0 ;;
  esac
done
"$node" "$stopper" "$holdfast" "$child" "$start" "$leads" "$holder" "$grace" "$lock" "$stopping" "$by" "$json" && exit
[ "$child" = 0 ] && exit
[ "$leads" = 1 ] && child=-$child
kill -TERM -- "$child"
sleep 1
kill -KILL -- "$child"
`

export interface Guarding {
  readonly holder: string
  readonly lock: string
  readonly graceMs: number
  /** Whether it tells what it does as JSON. */
  readonly json: boolean
}

/**
 * A small shell in a session of its own. It stops the command when this process ends without
 * having said so, or does not say in time that the lease was renewed.
 */
export class Guardian {
  readonly #shell: ChildProcess | undefined
  readonly #graceMs: number

  /** Starts it, before the command: no moment is left in which nobody guards that. */
  constructor({ holder, lock, graceMs, json }: Guarding) {
    this.#graceMs = graceMs
    const shell = SHELLS.find((path) => existsSync(path))
    if (shell === undefined) return
    const who = [process.execPath, STOPPER, process.pid, holder]
    const facts = [...who, graceMs, lock, json ? 1 : 0].map(String)
    // Bash takes the socket for a remote shell's, and would read the user's settings.
    const bare = shell.endsWith('bash') ? ['--norc', '--noprofile'] : []
    this.#shell = spawn(shell, [...bare, '-c', SCRIPT, 'holdfast-guardian', ...facts], {
      detached: true,
      // Not where the command works: the folder may have to be unmounted.
      cwd: '/',
      stdio: ['pipe', 'ignore', 'inherit'],
      // Not the marks of an enclosing run, which would take it for a part of the command.
      env: { PATH: process.env['PATH'] },
    })
    this.#shell.unref()
    // A pipe to a child is a socket, whatever its declared type says.
    const input = this.#shell.stdin as Socket | null
    input?.unref()
    for (const part of [this.#shell, input]) part?.on('error', () => {})
  }

  /** Whether there is one. */
  get watches(): boolean {
    return this.#shell?.pid !== undefined
  }

  /** Says which process it guards, and whether that leads a group of its own. */
  guard({ pid, start, leads }: Omit<Root, 'holder'>): void {
    this.#tell(`${leads ? 'group' : 'child'} ${pid} ${start}`)
  }

  /**
   * Says that the command has to be stopped unless another word comes within `leftMs`. It waits
   * `spareMs` more for that of a holdfast that stops the command itself; the end stays the same.
   */
  good(leftMs: number, spareMs: number): void {
    this.#tell(
      `left ${seconds(leftMs + spareMs)} ${Math.round(machineMs() + leftMs + this.#graceMs)}`,
    )
  }

  /** Says that holdfast began to stop the command, and should be done `spareMs` after the grace. */
  stop(spareMs: number): void {
    const killBy = Math.round(machineMs() + this.#graceMs)
    this.#tell(`stop ${seconds(this.#graceMs + spareMs)} ${killBy}`)
  }

  /** Says that nothing is left to guard. */
  dismiss(): void {
    this.#tell('done')
    this.#shell?.stdin?.end()
  }

  #tell(line: string): void {
    this.#shell?.stdin?.write(`${line}\n`)
  }
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3)
}
