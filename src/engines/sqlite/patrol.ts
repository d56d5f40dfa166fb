import type { Statements } from './transaction.ts'

/**
 * Visits two locks for each that is added and removes those that nobody used since `beforeMs`: the
 * file shrinks to what is in use without ever being searched.
 */
export function patrol(
  sql: Statements,
  nowUs: number,
  beforeMs: number,
  random: () => number,
): void {
  const last = (sql.lastLock.get()?.['id'] as number | null) ?? 0
  for (const row of sql.patrol.all(Math.floor(random() * last))) {
    const id = row['id'] as number
    if ((row['used_ms'] as number) >= beforeMs) continue
    // Leases may be renewed for long without another use; and some that are over nobody came for.
    if ((row['used_until_us'] as number) > nowUs) continue
    sql.dropHolders.run(id)
    sql.dropWaiters.run(id)
    sql.dropRests.run(id)
    sql.dropLock.run(id)
  }
}
