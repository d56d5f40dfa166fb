import { describe, inject } from 'vitest'
import type { ServerName } from './servers.ts'

export interface ServerUnderTest {
  name: ServerName
  /** What the server says it is; undefined when it could not be obtained. */
  version: string | undefined
}

declare module 'vitest' {
  interface ProvidedContext {
    servers: ServerUnderTest[]
  }
}

/** The servers this run tests with, for `describe.each`. */
export function serversUnderTest(): { name: ServerName; version: string }[] {
  return inject('servers').flatMap(({ name, version }) =>
    version === undefined ? [] : [{ name, version }],
  )
}

/** Describes the same behaviour on every server; one that is missing shows up as skipped. */
export function describeServers(title: string, body: (server: ServerName) => void): void {
  for (const { name, version } of inject('servers')) {
    if (version === undefined) describe.skip(`${title} on ${name} (missing)`, () => body(name))
    else describe(`${title} on ${name}`, () => body(name))
  }
}
