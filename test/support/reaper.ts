import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'

/**
 * Ends what this process started when this process itself ends, in whatever way, SIGKILL included:
 * a small shell in a session of its own reads what to look after, and its input ends with us.
 */
export interface Reaper {
  watchProcess(pid: number): void
  forgetProcess(pid: number): void
  /** Removes a temporary folder too. */
  watchFolder(path: string): void
}

// Process ids and folders are kept apart by line, since a folder's name may hold spaces.
const SCRIPT = `
pids=' '
folders=''
while read -r what value; do
  case $what in
    watch) pids="$pids$value " ;;
    forget) pids=$(printf '%s' "$pids" | sed "s/ $value / /") ;;
    folder) folders="$folders$value
" ;;
  esac
done
for pid in $pids; do kill -KILL "$pid" 2>/dev/null; done
printf '%s' "$folders" | while read -r folder; do rm -rf "$folder"; done
`

let child: ChildProcess | undefined

function tell(line: string): void {
  child ??= start()
  child.stdin?.write(`${line}\n`)
}

function start(): ChildProcess {
  const shell = spawn('/bin/sh', ['-c', SCRIPT], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  shell.unref()
  // A pipe to a child is a socket, whatever its declared type says.
  const input = shell.stdin as Socket | null
  input?.unref()
  input?.on('error', () => {})
  return shell
}

export const reaper: Reaper = {
  watchProcess: (pid) => tell(`watch ${pid}`),
  forgetProcess: (pid) => tell(`forget ${pid}`),
  watchFolder: (path) => tell(`folder ${path}`),
}
