/** Marks a file as ours: the letters HOLD. */
export const APPLICATION_ID = 0x484f4c44

/** In place of a moment that never comes. */
export const NEVER_US: number = Number.MAX_SAFE_INTEGER

/**
 * Each brings a file from one version to the next, the first makes it. Never change one that was
 * released.
 *
 * Moments (`_us`) are microseconds of the machine's clock, which starts anew with every boot.
 *
 * - `meta`: the boot that the moments belong to, and what the monotonic clock has to be raised by.
 *   Whoever changes it raises `era` there and in every lock: so who reads a lock knows whether what
 *   it remembers of `meta` still holds.
 * - `process`: engines that use the file. A missing row is a process that has provably ended.
 * - `lock`: one row for a lock and its counters, kept for its fence after the last use. `quiet_us`:
 *   no place or rest ends earlier. `joined` counts places, to order equal tickets. The holder of a
 *   lock with one permit stands in this row, from `holder` on ('' for none): its fence is the
 *   lock's. To take and to leave such a lock writes one page.
 * - `holder`: whoever holds a lock of more permits.
 * - `waiter`: whoever waits.
 * - `rest`: permits that stay taken by nobody, after a short hold or a holder that vanished.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    boot TEXT NOT NULL,
    suspended_us INTEGER NOT NULL,
    seen_us INTEGER NOT NULL
  ) STRICT;
  INSERT INTO meta VALUES (1, 0, '', 0, 0);

  CREATE TABLE process (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    bell TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started TEXT NOT NULL,
    namespace TEXT NOT NULL
  ) STRICT;

  CREATE TABLE lock (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    capacity INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    ticket INTEGER NOT NULL,
    joined INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    quiet_us INTEGER NOT NULL,
    used_ms INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE place (
    lock INTEGER NOT NULL,
    identity TEXT NOT NULL,
    held INTEGER NOT NULL,
    process INTEGER NOT NULL,
    permits INTEGER NOT NULL,
    ends_us INTEGER NOT NULL,
    ticket INTEGER NOT NULL,
    joined INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    granted_us INTEGER NOT NULL,
    grant_ttl_us INTEGER NOT NULL,
    min_hold_us INTEGER NOT NULL,
    lock_delay_us INTEGER NOT NULL,
    about TEXT NOT NULL,
    PRIMARY KEY (lock, identity)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX place_in_line ON place (lock, held, ticket, joined);

  CREATE TABLE rest (
    id INTEGER PRIMARY KEY,
    lock INTEGER NOT NULL,
    permits INTEGER NOT NULL,
    ends_us INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    granted_us INTEGER NOT NULL,
    about TEXT NOT NULL
  ) STRICT;
  CREATE INDEX rest_of_lock ON rest (lock);
  `,
  "ALTER TABLE rest ADD COLUMN identity TEXT NOT NULL DEFAULT ''",
  `
  ALTER TABLE meta ADD COLUMN era INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE lock ADD COLUMN era INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE lock ADD COLUMN holder TEXT NOT NULL DEFAULT '';
  ALTER TABLE lock ADD COLUMN process INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE lock ADD COLUMN ends_us INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE lock ADD COLUMN granted_us INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE lock ADD COLUMN min_hold_us INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE lock ADD COLUMN lock_delay_us INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE lock ADD COLUMN about TEXT NOT NULL DEFAULT '';
  UPDATE lock SET (holder, process, ends_us, granted_us, min_hold_us, lock_delay_us, about) =
    (SELECT identity, process, ends_us, granted_us, min_hold_us, lock_delay_us, about FROM place
    WHERE place.lock = lock.id AND held = 1)
    WHERE capacity = 1 AND EXISTS (SELECT 1 FROM place WHERE place.lock = lock.id AND held = 1);

  CREATE TABLE holder (
    lock INTEGER NOT NULL,
    identity TEXT NOT NULL,
    process INTEGER NOT NULL,
    permits INTEGER NOT NULL,
    ends_us INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    granted_us INTEGER NOT NULL,
    min_hold_us INTEGER NOT NULL,
    lock_delay_us INTEGER NOT NULL,
    about TEXT NOT NULL,
    PRIMARY KEY (lock, identity)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO holder SELECT lock, identity, process, permits, ends_us, fence, granted_us,
    min_hold_us, lock_delay_us, about FROM place
    WHERE held = 1 AND lock IN (SELECT id FROM lock WHERE capacity > 1);

  CREATE TABLE waiter (
    lock INTEGER NOT NULL,
    identity TEXT NOT NULL,
    process INTEGER NOT NULL,
    permits INTEGER NOT NULL,
    ends_us INTEGER NOT NULL,
    ticket INTEGER NOT NULL,
    joined INTEGER NOT NULL,
    grant_ttl_us INTEGER NOT NULL,
    min_hold_us INTEGER NOT NULL,
    lock_delay_us INTEGER NOT NULL,
    about TEXT NOT NULL,
    PRIMARY KEY (lock, identity)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX waiter_in_line ON waiter (lock, ticket, joined);
  INSERT INTO waiter SELECT lock, identity, process, permits, ends_us, ticket, joined,
    grant_ttl_us, min_hold_us, lock_delay_us, about FROM place WHERE held = 0;
  DROP TABLE place;
  `,
]

/**
 * What every hand-off runs, prepared once per connection. They answer with tuples, and those that
 * answer nothing are asked with `get` too: `run` makes an object that counts changes.
 */
export const HOT = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',

  lock: `SELECT id, kind, capacity, fence, ticket, joined, taken, waiting, quiet_us, era, holder,
      process, ends_us, granted_us, min_hold_us, lock_delay_us, about FROM lock
      WHERE name = ?`,
  lockById: `SELECT id, kind, capacity, fence, ticket, joined, taken, waiting, quiet_us, era, holder,
      process, ends_us, granted_us, min_hold_us, lock_delay_us, about FROM lock
      WHERE id = ? AND name = ?`,
  heard: 'SELECT id, capacity, fence, era, holder, process, ends_us FROM lock WHERE name = ?',
  heardById: `SELECT id, capacity, fence, era, holder, process, ends_us FROM lock
      WHERE id = ? AND name = ?`,
  saveCounters: `UPDATE lock SET ticket = ?, joined = ?, waiting = ?, quiet_us = ?, used_ms = ?
      WHERE id = ?`,
  saveLock: `UPDATE lock SET kind = ?, capacity = ?, fence = ?, ticket = ?, joined = ?, taken = ?,
      waiting = ?, quiet_us = ?, used_ms = ?, holder = ?, process = ?, ends_us = ?, granted_us = ?,
      min_hold_us = ?, lock_delay_us = ?, about = ? WHERE id = ?`,

  quickTake: `UPDATE lock SET fence = max(fence + 1, ?1), ticket = max(ticket + 1, ?1), taken = 1,
      quiet_us = ?2, used_ms = ?3, holder = ?4, process = ?5, ends_us = ?2, granted_us = ?6,
      min_hold_us = ?7, lock_delay_us = ?8, about = ?9
      WHERE id = ?10 AND name = ?11 AND kind = ?12 AND era = ?13 AND capacity = 1
      AND taken = 0 AND waiting = 0 RETURNING fence`,
  quickLeave: `UPDATE lock SET taken = 0, quiet_us = 9007199254740991, used_ms = ?1, holder = ''
      WHERE id = ?2 AND name = ?3 AND holder = ?4 AND quiet_us > ?5 AND era = ?6 AND capacity = 1
      AND taken = 1 AND waiting = 0 RETURNING 1`,

  waiter: 'SELECT ends_us, ticket, joined FROM waiter WHERE lock = ? AND identity = ?',
  addWaiter: `INSERT INTO waiter (lock, identity, process, permits, ends_us, ticket, joined,
      grant_ttl_us, min_hold_us, lock_delay_us, about) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  takeWaiter: 'DELETE FROM waiter WHERE lock = ? AND identity = ? RETURNING 1',
  dropWaiter: 'DELETE FROM waiter WHERE lock = ? AND identity = ?',
  front: `SELECT identity, permits, process, grant_ttl_us, min_hold_us, lock_delay_us, about
      FROM waiter WHERE lock = ? ORDER BY ticket, joined LIMIT 1`,
} as const

/** The other statements of the engine, prepared once per connection. */
export const STATEMENTS = {
  rollback: 'ROLLBACK',

  meta: 'SELECT version, boot, suspended_us, seen_us, era FROM meta',
  seen: 'UPDATE meta SET seen_us = ?',
  suspend: 'UPDATE meta SET suspended_us = ?, seen_us = ?, era = era + 1',
  reboot: 'UPDATE meta SET boot = ?, suspended_us = ?, seen_us = ?, era = era + 1',
  newEra: 'UPDATE lock SET era = (SELECT era FROM meta)',

  addProcess:
    'INSERT INTO process (bell, pid, started, namespace) VALUES (?, ?, ?, ?) RETURNING id',
  process: 'SELECT bell, pid, started, namespace FROM process WHERE id = ?',
  dropBell: 'DELETE FROM process WHERE bell = ?',
  dropProcess: 'DELETE FROM process WHERE id = ?',
  dropIdleProcess: `DELETE FROM process WHERE id = ?1
      AND NOT EXISTS (SELECT 1 FROM waiter WHERE process = ?1)
      AND NOT EXISTS (SELECT 1 FROM holder WHERE process = ?1)
      AND NOT EXISTS (SELECT 1 FROM lock WHERE process = ?1 AND holder <> '') RETURNING 1`,

  addLock: `INSERT INTO lock (name, kind, capacity, fence, ticket, joined, taken, waiting, quiet_us,
      used_ms, era) VALUES (?, ?, ?, 0, 0, 0, 0, 0, 9007199254740991, ?, (SELECT era FROM meta))
      RETURNING id, era`,
  lockNames: `SELECT name, quiet_us FROM lock WHERE name > ? AND name >= ? AND taken > 0
      ORDER BY name LIMIT ?`,
  lastLock: 'SELECT max(id) AS id FROM lock',
  patrol: `SELECT id, used_ms, max(
      iif(holder = '', 0, max(ends_us + lock_delay_us, granted_us + min_hold_us)),
      coalesce((SELECT max(max(ends_us + lock_delay_us, granted_us + min_hold_us)) FROM holder
      WHERE holder.lock = lock.id), 0),
      coalesce((SELECT max(ends_us) FROM waiter WHERE waiter.lock = lock.id), 0),
      coalesce((SELECT max(ends_us) FROM rest WHERE rest.lock = lock.id), 0)) AS used_until_us
      FROM lock WHERE id > ? ORDER BY id LIMIT 2`,
  dropLock: 'DELETE FROM lock WHERE id = ?',
  dropHolders: 'DELETE FROM holder WHERE lock = ?',
  dropWaiters: 'DELETE FROM waiter WHERE lock = ?',
  dropRests: 'DELETE FROM rest WHERE lock = ?',

  holder: 'SELECT * FROM holder WHERE lock = ? AND identity = ?',
  holders: 'SELECT * FROM holder WHERE lock = ? ORDER BY fence',
  firstHolder: 'SELECT * FROM holder WHERE lock = ? ORDER BY fence LIMIT 1',
  addHolder: `INSERT INTO holder (lock, identity, process, permits, ends_us, fence, granted_us,
      min_hold_us, lock_delay_us, about) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  takeHolder: 'DELETE FROM holder WHERE lock = ? AND identity = ? RETURNING *',
  takeHoldersOver: 'DELETE FROM holder WHERE lock = ? AND ends_us <= ? RETURNING *',
  prolongHolder: `UPDATE holder SET ends_us = ?, process = ?, fence = ?
      WHERE lock = ? AND identity = ?`,
  bury: 'UPDATE holder SET ends_us = ?3 WHERE lock = ?1 AND process = ?2 AND ends_us > ?3',

  prolongWaiter: 'UPDATE waiter SET ends_us = ?, process = ? WHERE lock = ? AND identity = ?',
  waitersOver: 'SELECT identity FROM waiter WHERE lock = ? AND ends_us <= ?',
  line: `SELECT identity, permits, about FROM waiter WHERE lock = ?
      ORDER BY ticket, joined LIMIT 100`,
  ahead: `SELECT count(*) AS n FROM waiter WHERE lock = ?1 AND ticket <= ?2
      AND (ticket < ?2 OR joined < ?3)`,

  rests: 'SELECT permits, ends_us, fence, granted_us, about FROM rest WHERE lock = ? ORDER BY id',
  restsOver: 'DELETE FROM rest WHERE lock = ? AND ends_us <= ? RETURNING permits',
  addRest: `INSERT INTO rest (lock, permits, ends_us, fence, granted_us, about, identity)
      VALUES (?, ?, ?, ?, ?, ?, ?)`,
  dropRestsOf: `DELETE FROM rest WHERE lock = ?1 AND (?2 = '' OR identity = ?2) RETURNING permits`,
  quiet: `SELECT min(ends_us) AS us FROM (SELECT ends_us FROM holder WHERE lock = ?1
      UNION ALL SELECT ends_us FROM waiter WHERE lock = ?1
      UNION ALL SELECT ends_us FROM rest WHERE lock = ?1)`,
} as const

export type HotName = keyof typeof HOT
export type StatementName = keyof typeof STATEMENTS

/**
 * SQLite text with a NUL is cut short by some bindings, so that two names would become one. Every
 * character keeps its own code: a prefix of a text stays a prefix.
 */
export function encode(text: string): string {
  if (!text.includes('\0') && !text.includes('\u0001')) return text
  return text.replaceAll('\u0001', '\u0001b').replaceAll('\0', '\u0001a')
}

export function decode(text: string): string {
  if (!text.includes('\u0001')) return text
  return text.replaceAll('\u0001a', '\0').replaceAll('\u0001b', '\u0001')
}
