import { setTimeout as wait } from 'node:timers/promises'
import type { Holdfast, LockReport } from '../../index.ts'
import { parse, readMs, textOf, wordsOf } from '../arguments.ts'
import type { World } from '../commands.ts'
import { asCliError, open, urlOf } from '../engine.ts'
import { CliError, EXIT, usageError } from '../exit.ts'
import { Reader } from '../reader.ts'
import {
  allNames,
  inspectAll,
  kindOf,
  lockJson,
  lockLines,
  locksTable,
  since,
  who,
} from '../report.ts'
import { WATCH } from '../specs/looking.ts'
import { isScreen, paperFor, type Style, styleFor } from '../style.ts'
import type { Paper } from '../table.ts'
import { count, fill, fit, jsonLine, visible } from '../text.ts'
import { Screen } from './screen.ts'

/** What is watched: one lock, or all whose names start with a prefix. */
interface Subject {
  readonly name: string | undefined
  readonly prefix: string
}

const USUAL_MS = 500

/** Shows locks as they change, until it is told to end. */
export async function watch(args: readonly string[], world: World): Promise<number> {
  const parsed = parse(WATCH, args)
  const [name] = wordsOf(WATCH, parsed, 1)
  const prefix = textOf(parsed, 'prefix')
  if (name !== undefined && prefix !== undefined) {
    throw usageError('name one lock, or give a --prefix.')
  }
  const interval = textOf(parsed, 'interval')
  const everyMs = interval === undefined ? USUAL_MS : readMs('--interval', interval, 50, 3_600_000)
  const url = urlOf(parsed, world.env)
  const subject = { name, prefix: prefix ?? '' }
  const json = parsed.options['json'] === true
  const holdfast = await open(url)
  const screen = json || !isScreen(world) ? undefined : new Screen(world.stdout)
  const ending = new Ending(screen, world.stdout)
  const teller = screen
    ? new Drawing(screen, styleFor(world), () => paperFor(world))
    : new Lines(world.stdout, json)
  try {
    while (!ending.signal.aborted) {
      try {
        teller.tell(subject, await look(holdfast, subject))
      } catch (error) {
        const known = asCliError(error, url)
        if (!(known instanceof CliError)) throw known
        // An engine that is away for a while is what somebody may be watching for.
        teller.fail(known.message)
      }
      await wait(everyMs, undefined, { signal: ending.signal }).catch(() => undefined)
    }
    return EXIT.ok
  } finally {
    ending.close()
    screen?.close()
    await holdfast.close()
  }
}

async function look(holdfast: Holdfast, { name, prefix }: Subject): Promise<LockReport[]> {
  if (name === undefined) return await inspectAll(holdfast, await allNames(holdfast, prefix))
  const report = await holdfast.inspect(name)
  return report === null ? [] : [report]
}

/** Ctrl-C, a request to end, q, or a reader that left. All of them are a good end. */
class Ending {
  readonly #controller = new AbortController()
  readonly #reader: Reader
  readonly #end = (): void => this.#controller.abort()

  constructor(screen: Screen | undefined, stdout: NodeJS.WriteStream) {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, this.#end)
    this.#reader = new Reader(stdout)
    this.#reader.gone.addEventListener('abort', this.#end)
    screen?.onQuit(this.#end)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  close(): void {
    this.#reader.close()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, this.#end)
  }
}

interface Teller {
  tell(subject: Subject, reports: readonly LockReport[]): void
  fail(message: string): void
}

/** The whole picture, again at each look. */
class Drawing implements Teller {
  readonly #screen: Screen
  readonly #style: Style
  readonly #paper: () => Paper

  constructor(screen: Screen, style: Style, paper: () => Paper) {
    this.#screen = screen
    this.#style = style
    this.#paper = paper
  }

  tell(subject: Subject, reports: readonly LockReport[]): void {
    const [only] = reports
    const paper = this.#paper()
    const body =
      subject.name === undefined
        ? reports.length === 0
          ? ['No lock is held.']
          : locksTable(reports, paper)
        : only === undefined
          ? fill(`${visible(subject.name)}: nobody holds it or waits for it.`, paper.width)
          : lockLines(only, paper)
    this.#draw(body)
  }

  fail(message: string): void {
    const lines = fill(visible(message), this.#paper().width)
    this.#draw(lines.map((line) => this.#style.bad(line)))
  }

  #draw(body: readonly string[]): void {
    const hint = fit(`${since(1)}  q or Ctrl-C ends`, this.#paper().width)
    this.#screen.draw([this.#style.dim(hint), '', ...body])
  }
}

/** One line, or one JSON object, for each lock that changed. */
class Lines implements Teller {
  readonly #stdout: NodeJS.WritableStream
  readonly #json: boolean
  #known = new Map<string, string>()
  #started = false
  /** The failure that was told last, while it lasts. */
  #failure: string | undefined

  constructor(stdout: NodeJS.WritableStream, json: boolean) {
    this.#stdout = stdout
    this.#json = json
  }

  tell(subject: Subject, reports: readonly LockReport[]): void {
    const known = new Map(reports.map((report) => [report.name, standing(report)]))
    // After a failure all is told anew, so that its end can be seen.
    const anew = this.#failure !== undefined
    this.#failure = undefined
    if (anew) this.#started = false
    for (const report of reports) {
      const { name } = report
      if (anew || this.#known.get(name) !== known.get(name)) this.#say(name, report)
    }
    for (const name of this.#known.keys()) if (!known.has(name)) this.#say(name, null)
    const { name } = subject
    // Somebody who watches one lock wants to know that nobody has it.
    const told = name === undefined || known.has(name) || this.#known.has(name)
    if (!this.#started && !told) this.#say(name, null)
    this.#known = known
    this.#started = true
  }

  fail(message: string): void {
    if (message === this.#failure) return
    this.#failure = message
    this.#write(this.#json ? { error: message } : `error: ${visible(message)}`)
  }

  #say(name: string, report: LockReport | null): void {
    if (this.#json) this.#write(lockJson(name, report))
    else this.#write(report === null ? `${visible(name)}: free` : sentence(report))
  }

  #write(told: string | object): void {
    const at = new Date().toISOString()
    const line = typeof told === 'string' ? `${at} ${told}` : jsonLine({ at, ...told })
    this.#stdout.write(`${line}\n`)
  }
}

/** What counts as a change: who holds and who waits, not how much life is left. */
function standing({ holders, waiters, waiting }: LockReport): string {
  const held = holders.map(({ identity, fence }) => [identity, fence])
  return JSON.stringify([held, waiters.map(({ identity }) => identity), waiting])
}

function sentence(report: LockReport): string {
  const { name, holders, waiting } = report
  const held =
    holders.length === 0
      ? 'held by nobody'
      : `held by ${holders.map((holder) => `${who(holder)}, fence ${holder.fence}`).join('; ')}`
  return `${visible(name)} (${kindOf(report)}): ${held}; ${count(waiting, 'waiter')}`
}
