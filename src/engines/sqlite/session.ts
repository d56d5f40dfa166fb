import { systemRandom } from '../../system/clock.ts'
import { Bells } from './bells.ts'
import {
  type Binding,
  type Connection,
  type Row,
  type Statement,
  type TupleStatement,
  tuples,
  type Value,
} from './binding.ts'
import { fileError, isBusy } from './failure.ts'
import type { MachineClock } from './machine-clock.ts'
import { Meta, otherMachineError } from './meta.ts'
import type { Opening } from './opening.ts'
import { hasEnded, ownMark, Peers, type ProcessMark } from './peers.ts'
import { fileMark, Presence, statOf } from './presence.ts'
import { shareCompanions } from './rights.ts'
import { APPLICATION_ID, HOT, MIGRATIONS, NEVER_US, STATEMENTS } from './schema.ts'
import type { Statements, Surroundings } from './transaction.ts'

/** What a session is opened with. */
export interface SessionParts {
  readonly binding: Binding
  readonly path: string
  readonly opening: Opening
  readonly machine: MachineClock
  readonly wallMicros: () => number
  /** The file that this engine has used before: its boot is not over. */
  readonly established: string | undefined
  /** The bell under which this engine stood in a file that it lost. Its leases there are over. */
  readonly lostBell: string | undefined
  /** The bell under which it holds something in the file that it has used before. */
  readonly keptBell: string | undefined
  /** Called when another process granted something to this one. */
  readonly onRing: () => void
  /** Called when the file may no longer be what it was. */
  readonly onChange: () => void
  readonly migrations?: readonly string[]
}

/** A connection to one file, in which this engine has a row and beside which it has a bell. */
export interface Session {
  readonly sql: Statements
  readonly bells: Bells
  readonly presence: Presence
  /** The name of its bell. */
  readonly bell: string
  readonly process: number
  readonly mark: ProcessMark
  /** The version of the file. */
  readonly version: number
  /** Which file it is. */
  readonly file: string
  /** Whether what was held in the file before is in this one. */
  readonly isKnown: boolean
  close(): void
}

/** Opens the file, makes or upgrades it. Throws what SQLite throws; `SQLITE_BUSY` may pass. */
export function openSession(parts: SessionParts): Session {
  const { binding, machine, migrations = MIGRATIONS } = parts
  const path = parts.opening.prepare()
  const rights = statOf(path)
  if (rights === undefined) throw replacedError()
  const before = fileMark(path)
  const connection = binding(path)
  const bells = new Bells(`${path}-bells`, rights)
  try {
    setUp(connection, path)
    shareCompanions(path, rights)
    const own = ownMark()
    const bell = systemRandom.identity()
    let isKnown = true
    const process = inTransaction(connection, () => {
      const fresh = upgrade(connection, path, migrations)
      const known = connection.prepare('SELECT bell FROM process').all()
      const names = new Set(known.map((row) => row['bell']))
      parts.opening.bidFarewell(path, (name) => names.has(name))
      if (startsBoot(connection, machine, fresh)) {
        if (!fresh && parts.established === before) throw otherMachineError(path)
        startBoot(connection, machine, parts.wallMicros())
      }
      connection.prepare(STATEMENTS.dropBell).run(parts.lostBell ?? '')
      // Files may share a number, one after the other. Nobody but this process makes that name.
      isKnown = parts.keptBell === undefined || knows(connection, parts.keptBell)
      const added = register(connection, bells, own, bell)
      bells.hang(bell, parts.onRing)
      return added
    })
    const opened = fileMark(path)
    if (before !== opened) {
      throw replacedError()
    }
    parts.opening.done()
    const presence = new Presence(parts.path, path, () => isSound(binding, path))
    presence.watch(parts.onChange)
    return {
      sql: prepareAll(connection),
      bells,
      presence,
      bell,
      process,
      mark: own,
      version: migrations.length,
      file: opened,
      isKnown,
      close() {
        presence.unwatch()
        bells.close()
        try {
          connection.close()
        } catch {
          // What was to be told was told by the transaction before.
        }
      },
    }
  } catch (error) {
    connection.close()
    bells.close()
    throw error
  }
}

function replacedError(): Error {
  return fileError('connect', 'the file was replaced meanwhile', { transient: true })
}

function setUp(connection: Connection, path: string): void {
  // Rows are short, and a commit writes whole pages. Only a new file takes it.
  connection.exec('PRAGMA busy_timeout = 0; PRAGMA page_size = 1024')
  const mode = pragma(connection, 'journal_mode = WAL')
  if (mode !== 'wal') {
    throw fileError('connect', `${JSON.stringify(path)} takes no write-ahead log (${mode})`)
  }
  // A crash of the machine may take the last commits along, and takes every holder along too:
  // the file stays sound, and fences grow past what was lost because they follow the calendar.
  connection.exec('PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000')
}

/** Brings the file to the last version; refuses one that is newer or not ours. */
export function upgrade(
  connection: Connection,
  path: string,
  migrations: readonly string[],
): boolean {
  const version = Number(pragma(connection, 'user_version'))
  const application = Number(pragma(connection, 'application_id'))
  const known = migrations.length
  if (application !== APPLICATION_ID) {
    const tables = connection.prepare('SELECT count(*) AS n FROM sqlite_schema').get()
    if (application !== 0 || version !== 0 || tables?.['n'] !== 0) {
      throw fileError('connect', `${JSON.stringify(path)} is a database of another program`)
    }
    connection.exec(`PRAGMA application_id = ${APPLICATION_ID}`)
  }
  if (version > known) {
    throw fileError(
      'connect',
      `${JSON.stringify(path)} was made by a newer Holdfast (version ${version} of the file, ` +
        `this one knows ${known}); update holdfast in this program`,
    )
  }
  if (version === known) return false
  for (const migration of migrations.slice(version)) connection.exec(migration)
  connection.exec(
    `UPDATE meta SET version = ${known}, era = era + 1; ${STATEMENTS.newEra}; ` +
      `PRAGMA user_version = ${known}`,
  )
  return true
}

/** Whether this machine was started since the file was used last. */
function startsBoot(connection: Connection, machine: MachineClock, fresh: boolean): boolean {
  const { boot } = machine.sources
  const meta = connection.prepare(STATEMENTS.meta).get() as Row
  if (meta['boot'] !== boot) return true
  return boot === '' && (fresh || machine.monotonicUs() < (meta['seen_us'] as number))
}

/** Ends what an earlier boot left: all its holders have died with it. Fences stay. */
function startBoot(connection: Connection, machine: MachineClock, micros: number): void {
  const nowUs = machine.monotonicUs()
  const suspendedUs = machine.firstSuspendedUs()
  const rests = connection
    .prepare(
      'SELECT lock, permits, fence, about, identity, ends_us - granted_us AS length FROM rest ' +
        'UNION ALL SELECT lock, permits, fence, about, identity, min_hold_us FROM holder ' +
        "UNION ALL SELECT id, 1, fence, about, holder, min_hold_us FROM lock WHERE holder <> ''",
    )
    .all()
  connection.exec(
    'DELETE FROM holder; DELETE FROM waiter; DELETE FROM rest; DELETE FROM process; ' +
      `UPDATE lock SET taken = 0, waiting = 0, quiet_us = ${NEVER_US}, holder = ''`,
  )
  for (const { lock, permits, fence, about, identity, length } of rests) {
    // A minimum hold outlives the machine: the fence says when it began by the calendar.
    const sinceUs = Math.max(0, micros - (fence as number))
    const leftUs = (length as number) - sinceUs
    if (leftUs <= 0) continue
    const endsUs = nowUs + suspendedUs + leftUs
    connection
      .prepare(STATEMENTS.addRest)
      .run(
        lock ?? 0,
        permits ?? 0,
        endsUs,
        fence ?? 0,
        endsUs - (length as number),
        about ?? '',
        identity ?? '',
      )
    connection
      .prepare('UPDATE lock SET taken = taken + ?, quiet_us = min(quiet_us, ?) WHERE id = ?')
      .run(permits ?? 0, endsUs, lock ?? 0)
  }
  connection.prepare(STATEMENTS.reboot).run(machine.sources.boot, suspendedUs, nowUs)
  connection.exec(STATEMENTS.newEra)
}

/** Adds this engine and removes those whose process has ended. */
function register(connection: Connection, bells: Bells, own: ProcessMark, ownBell: string): number {
  const keep = new Set<string>()
  const known = connection.prepare('SELECT id, bell, pid, started, namespace FROM process').all()
  for (const { id, bell, pid, started, namespace } of known) {
    const mark = {
      pid: Number(pid),
      started: String(started),
      namespace: String(namespace),
    }
    if (hasEnded(mark, own)) connection.prepare(STATEMENTS.dropProcess).run(id ?? 0)
    else keep.add(String(bell))
  }
  bells.sweep(keep)
  const added = connection
    .prepare(STATEMENTS.addProcess)
    .get(ownBell, own.pid, own.started, own.namespace) as Row
  return Number(added['id'])
}

/** Asked of a new connection: one that is in use remembers pages that are gone. */
function isSound(binding: Binding, path: string): boolean {
  let connection: Connection | undefined
  try {
    connection = binding(path)
    return pragma(connection, 'quick_check(1)') === 'ok'
  } catch (error) {
    return isBusy(error)
  } finally {
    connection?.close()
  }
}

function knows(connection: Connection, bell: string): boolean {
  return connection.prepare('SELECT 1 FROM process WHERE bell = ?').get(bell) !== undefined
}

/** What the transactions of a session share. */
export function surroundingsOf(
  { sql, process, version, mark, bells }: Session,
  parts: Pick<SessionParts, 'machine' | 'path'> & Pick<Surroundings, 'fenceTtlMs' | 'random'>,
): Surroundings {
  const { machine, path, fenceTtlMs, random } = parts
  return {
    sql,
    process,
    lockIds: new Map(),
    calm: new Map(),
    meta: new Meta(sql, machine, version, path),
    peers: new Peers(mark),
    bells,
    readProcess: (id) => sql.process.get(id),
    buriedUs: new Map(),
    fenceTtlMs,
    random,
  }
}

function prepareAll(connection: Connection): Statements {
  const prepared: Record<string, Statement | TupleStatement> = {}
  for (const [name, sql] of Object.entries(HOT)) prepared[name] = tuples(connection.prepare(sql))
  for (const [name, sql] of Object.entries(STATEMENTS)) {
    prepared[name] = connection.prepare(sql)
  }
  return prepared as unknown as Statements
}

function inTransaction<T>(connection: Connection, work: () => T): T {
  connection.exec(HOT.begin)
  try {
    const result = work()
    connection.exec(HOT.commit)
    return result
  } catch (error) {
    try {
      connection.exec(STATEMENTS.rollback)
    } catch {
      // SQLite has rolled back by itself.
    }
    throw error
  }
}

function pragma(connection: Connection, text: string): Value {
  return Object.values(connection.prepare(`PRAGMA ${text}`).get() ?? {})[0] ?? null
}
