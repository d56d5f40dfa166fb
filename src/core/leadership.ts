import { Lease } from './lease.ts'

/** The lease of whoever leads. */
export class Leadership extends Lease {
  /** Ends the leadership; the next candidate leads at once. See `Lease.release`. */
  resign(): Promise<boolean> {
    return this.release()
  }
}
