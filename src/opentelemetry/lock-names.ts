import { diag } from '@opentelemetry/api'

/** Most different names in metrics: each is kept by the meter for as long as the process lives. */
const MOST_NAMES = 100

/** Stands for all names past the limit. */
const OTHER = '_OTHER'

/** The user's choice of what to tell of the names of locks. */
export type LockNaming = (name: string) => string | undefined

/** Which names are told where. */
export class LockNames {
  readonly #naming: LockNaming | undefined
  readonly #told = new Set<string>()

  constructor(naming: LockNaming | undefined) {
    this.#naming = naming
  }

  /** For spans: what the user makes of the name; `undefined` when it is not to be told. */
  told(name: string): string | undefined {
    try {
      const told: unknown = this.#naming?.(name)
      return typeof told === 'string' ? told : undefined
    } catch (error) {
      diag.error('holdfast: lockName failed', error)
      return undefined
    }
  }

  /** For metrics: the same, as long as there are few. */
  counted(told: string | undefined): string | undefined {
    if (told === undefined || this.#told.has(told)) return told
    if (this.#told.size >= MOST_NAMES) return OTHER
    this.#told.add(told)
    return told
  }
}
