import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CliError, EXIT } from '../exit.ts'
import { reach } from './reach.ts'
import type { DemoServer } from './server.ts'

/** A SQLite file for one demo; the locks of this user in the default file are not touched. */
export async function makeOwnFile(): Promise<DemoServer> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-demo-'))
  const stop = async (): Promise<void> => removeFolder(folder)
  const url = `sqlite:${join(folder, 'locks.db')}`
  try {
    const engine = await reach(url)
    const description = 'a SQLite file of its own, without a server'
    return { url, engine, description, folder, stop }
  } catch (error) {
    await stop()
    const { message } = error as Error
    throw new CliError(EXIT.unavailable, `${message.replace(/\.?$/, '.')} Or use --redis.`)
  }
}

/** Removes what may already be under removal by another process. */
export function removeFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  } catch {
    // Somebody else is still in it and removes it when it leaves.
  }
}
