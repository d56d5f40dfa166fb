import { createRequire } from 'node:module'
import { UnsupportedError } from '../../core/errors.ts'

/** What a statement takes and gives. All numbers here are whole and below 2^53. */
export type Value = string | number | null

export type Row = Readonly<Record<string, Value>>

/** A row as its values in the order of the columns: a third of the cost of a row with names. */
export type Tuple = readonly Value[]

/** A statement that answers with a tuple. */
export interface TupleStatement {
  get(...values: readonly Value[]): Tuple | undefined
}

export interface Statement {
  /** Missing before Node 22.16. */
  setReturnArrays?(arrays: boolean): void
  run(...values: readonly Value[]): unknown
  get(...values: readonly Value[]): Row | undefined
  all(...values: readonly Value[]): readonly Row[]
}

/** The part of `DatabaseSync` that the engine uses. */
export interface Connection {
  exec(sql: string): void
  prepare(sql: string): Statement
  close(): void
}

/** Opens a connection that answers `SQLITE_BUSY` at once, instead of blocking the event loop. */
export type Binding = (path: string) => Connection

interface SqliteModule {
  readonly DatabaseSync: new (path: string, options: { timeout: number }) => Connection
}

/** Makes a statement answer with tuples. */
export function tuples(statement: Statement): TupleStatement {
  if (statement.setReturnArrays !== undefined) {
    statement.setReturnArrays(true)
    return statement as unknown as TupleStatement
  }
  return {
    get(...values) {
      const row = statement.get(...values)
      return row === undefined ? undefined : Object.values(row)
    },
  }
}

const PEER = '@photostructure/sqlite'

/** SQLite as this Node has it, else as the optional package has it, else `UnsupportedError`. */
export function loadBinding(
  builtin: () => unknown = builtinModule,
  peer: () => unknown = peerModule,
): Binding {
  // One process must not mix two copies of SQLite: each would undo the other's file locks.
  const { DatabaseSync } = (builtin() ?? required(peer)) as SqliteModule
  return (path) => new DatabaseSync(path, { timeout: 0 })
}

function required(peer: () => unknown): unknown {
  try {
    return peer()
  } catch (cause) {
    const error = new UnsupportedError(
      `This Node (${process.version}) has no node:sqlite, and the package ${PEER} does not load. ` +
        `Use Node 22.13 or newer, or run: npm install ${PEER}`,
    )
    error.cause = cause
    throw error
  }
}

function peerModule(): unknown {
  return createRequire(import.meta.url)(PEER)
}

/** Node 22 calls the module experimental on standard error; the warning helps no user of a lock. */
function builtinModule(): unknown {
  const key = 'emitWarning'
  const before = Object.getOwnPropertyDescriptor(process, key)
  process[key] = () => undefined
  try {
    return process.getBuiltinModule?.('node:sqlite')
  } finally {
    if (before === undefined) Reflect.deleteProperty(process, key)
    else Object.defineProperty(process, key, before)
  }
}
