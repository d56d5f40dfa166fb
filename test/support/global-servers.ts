import type { TestProject } from 'vitest/node'
import { obtain, serverNames } from '../../scripts/servers.mjs'
import type { ServerName } from './servers.ts'
import type { ServerUnderTest } from './servers-under-test.ts'

/**
 * Obtains the real servers before any test runs. A missing one is a failure in CI, where nobody
 * would notice that its tests did not run; elsewhere it is said in one line.
 */
export default async function setup(project: TestProject): Promise<void> {
  const servers = await Promise.all(wantedServers().map(look))
  project.provide('servers', servers)
}

function wantedServers(): ServerName[] {
  const names = (process.env['HOLDFAST_TEST_SERVERS'] ?? '').split(',').map((name) => name.trim())
  const chosen = names.filter(Boolean)
  const unknown = chosen.filter((name) => !serverNames.includes(name as ServerName))
  if (unknown.length > 0) {
    throw new TypeError(
      `HOLDFAST_TEST_SERVERS names ${unknown.join(', ')}: known are ${serverNames.join(', ')}`,
    )
  }
  return chosen.length > 0 ? (chosen as ServerName[]) : [...serverNames]
}

async function look(name: ServerName): Promise<ServerUnderTest> {
  try {
    const { version } = await obtain(name)
    return { name, version }
  } catch (error) {
    if (process.env['CI']) throw error
    console.warn(`\nNOT TESTED ON ${name}: ${(error as Error).message}\n`)
    return { name, version: undefined }
  }
}
