/** The real servers that can be obtained for tests and demos. */
export type ServerName = 'redis-7.0' | 'redis-8.0' | 'valkey-8' | 'valkey-9'

/**
 * A server, a Python that has Debian's redis library (`bin` is then that Python), or PostgreSQL, of
 * whose programs `bin` is `postgres` and the others lie beside it.
 */
export type ObtainableName = ServerName | 'python3-redis' | 'postgresql'

export interface ServerBinary {
  /** The name asked for, or a description when the server was already installed. */
  name: string
  version: string
  /** Absolute path of an executable. */
  bin: string
}

export const serverNames: readonly ServerName[]
export function cacheFolder(): string
export function obtain(name: ObtainableName): Promise<ServerBinary>
export function available(): Promise<ServerBinary[]>
export function findAnyServer(): Promise<ServerBinary>
