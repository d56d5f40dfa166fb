import type { Row } from './binding.ts'

/** A place as its row says. */
export interface PlaceRow {
  readonly identity: string
  readonly held: boolean
  readonly process: number
  readonly permits: number
  endsUs: number
  readonly ticket: number
  readonly joined: number
  fence: number
  readonly grantedUs: number
  readonly grantTtlUs: number
  readonly minHoldUs: number
  readonly lockDelayUs: number
  /** As stored. */
  readonly about: string
}

/** What a place is asked for by most calls. */
export type Stand = Pick<PlaceRow, 'held' | 'endsUs' | 'ticket' | 'joined' | 'fence'>

/** What a holder leaves behind. */
export type Leaving = Pick<PlaceRow, 'identity' | 'permits' | 'fence' | 'grantedUs' | 'about'>

/** When the permits of a holder that is never heard of again are free. */
export function freeUs(holder: PlaceRow): number {
  return Math.max(holder.endsUs + holder.lockDelayUs, holder.grantedUs + holder.minHoldUs)
}

export function readPlace(row: Row): PlaceRow {
  return {
    identity: row['identity'] as string,
    held: row['held'] === 1,
    process: row['process'] as number,
    permits: row['permits'] as number,
    endsUs: row['ends_us'] as number,
    ticket: row['ticket'] as number,
    joined: row['joined'] as number,
    fence: row['fence'] as number,
    grantedUs: row['granted_us'] as number,
    grantTtlUs: row['grant_ttl_us'] as number,
    minHoldUs: row['min_hold_us'] as number,
    lockDelayUs: row['lock_delay_us'] as number,
    about: row['about'] as string,
  }
}
