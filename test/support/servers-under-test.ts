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
  for (const server of inject('servers')) describeServer(server, title, body)
}

/** The same on the first and the last server only, for what takes many of them and long. */
export function describeTwoServers(title: string, body: (server: ServerName) => void): void {
  const servers = inject('servers')
  for (const server of new Set([servers.at(0), servers.at(-1)])) {
    if (server) describeServer(server, title, body)
  }
}

function describeServer(
  { name, version }: ServerUnderTest,
  title: string,
  body: (server: ServerName) => void,
): void {
  if (version === undefined) describe.skip(`${title} on ${name} (missing)`, () => body(name))
  else describe(`${title} on ${name}`, () => body(name))
}
