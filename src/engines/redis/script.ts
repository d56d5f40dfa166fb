/** A Lua script, embedded at build from a file in `lua/`. */
export interface Script {
  readonly name: string
  readonly sha1: string
  /** What each KEYS entry is. */
  readonly keys: readonly string[]
  /** What each ARGV entry is. */
  readonly args: readonly string[]
  readonly source: string
}
