/** The least that can do the work of a lock in a file: SQLite by itself, and no promises. */
import { closeSync, openSync, watch, writeFileSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

function open(folder) {
  const sqlite =
    process.getBuiltinModule?.('node:sqlite') ??
    createRequire(import.meta.url)('@photostructure/sqlite')
  return new sqlite.DatabaseSync(join(folder, 'bare.db'), { timeout: 0 })
}

/** Makes the file and the bells. */
export function lay(folder, processes) {
  const db = open(folder)
  db.exec(
    'PRAGMA journal_mode = WAL; CREATE TABLE l (owner, fence); INSERT INTO l VALUES (NULL, 0); ' +
      'CREATE TABLE q (seq INTEGER PRIMARY KEY AUTOINCREMENT, id); ' +
      'CREATE TABLE n (name TEXT PRIMARY KEY, owner TEXT, fence INTEGER)',
  )
  for (let at = 0; at < processes; at++) {
    db.prepare('INSERT INTO n VALUES (?, NULL, 0)').run(`lock-${at}`)
    writeFileSync(join(folder, `bell-${at}`), '.')
  }
  db.close()
}

function enterer(db) {
  const begin = db.prepare('BEGIN IMMEDIATE')
  return async () => {
    for (let tries = 0; ; tries++) {
      try {
        return begin.run()
      } catch (error) {
        if (error.errcode !== 5) throw error
        if (tries < 3) await new Promise((resolve) => setImmediate(resolve))
        else await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 4))
      }
    }
  }
}

/** One lock for all: two tables, and a bell per process. */
export function bareHandoff({ folder, index, processes }) {
  const db = open(folder)
  const enter = enterer(db)
  const bells = Array.from({ length: processes }, (_, at) =>
    openSync(join(folder, `bell-${at}`), 'r+'),
  )
  const byte = Buffer.from('.')
  const commit = db.prepare('COMMIT')
  const look = db.prepare('SELECT owner, fence FROM l')
  const own = db.prepare('UPDATE l SET owner = ?, fence = fence + 1')
  const free = db.prepare('UPDATE l SET owner = NULL')
  const line = db.prepare('INSERT INTO q (id) VALUES (?)')
  const head = db.prepare('SELECT seq, id FROM q ORDER BY seq LIMIT 1')
  const drop = db.prepare('DELETE FROM q WHERE seq = ?')
  db.exec('PRAGMA synchronous = NORMAL')
  let wake
  const check = () => {
    if (wake === undefined || look.get().owner !== index) return
    const go = wake
    wake = undefined
    go()
  }
  const watcher = watch(join(folder, `bell-${index}`), check)
  return {
    async acquire() {
      await enter()
      const taken = look.get().owner !== null
      if (taken) line.run(index)
      else own.run(index)
      commit.run()
      if (!taken) return
      await new Promise((resolve) => {
        wake = resolve
        check()
      })
    },
    async release() {
      await enter()
      const next = head.get()
      if (next === undefined) {
        free.run()
      } else {
        own.run(next.id)
        drop.run(next.seq)
      }
      commit.run()
      if (next !== undefined) writeSync(bells[next.id], byte, 0, 1, 0)
    },
    async close() {
      watcher.close()
      for (const bell of bells) closeSync(bell)
      db.close()
    },
  }
}

/** A lock of its own for every process: one transaction to take it, one to leave it. */
export function barePairs({ folder, index }) {
  const db = open(folder)
  const enter = enterer(db)
  db.exec('PRAGMA synchronous = NORMAL')
  const commit = db.prepare('COMMIT')
  const look = db.prepare('SELECT owner, fence FROM n WHERE name = ?')
  const own = db.prepare('UPDATE n SET owner = ?, fence = fence + 1 WHERE name = ?')
  const free = db.prepare('UPDATE n SET owner = NULL WHERE name = ? AND owner = ?')
  const name = `lock-${index}`
  let turn = 0
  return {
    async acquire() {
      await enter()
      if (look.get(name).owner !== null) throw new Error('the lock is taken')
      turn += 1
      own.run(`${index} ${turn}`, name)
      commit.run()
    },
    async release() {
      await enter()
      free.run(name, `${index} ${turn}`)
      commit.run()
    },
    async close() {
      db.close()
    },
  }
}
