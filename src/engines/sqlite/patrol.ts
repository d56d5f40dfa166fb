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
    const over = (row['over_us'] as number | null) ?? 0
    // Places that nobody came back for; whatever may still follow their end is over too.
    if ((row['busy'] as number) > 0 && over > nowUs) continue
    sql.dropPlaces.run(id)
    sql.dropRests.run(id)
    sql.dropLock.run(id)
  }
}
