import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { obtainNode } from '../../scripts/nodes.mjs'
import { doors, installAlone, pack, peers, root, run } from '../support/packed.ts'
import { type RunningServer, startServer } from '../support/servers.ts'

const majors = [20, 22, 24, 26]
/** Before this one, Node has no SQLite of its own. */
const FIRST_WITH_SQLITE = 22

const folder = mkdtempSync(join(tmpdir(), 'holdfast-nodes-'))
const alone = join(folder, 'alone')
const plain = doors.filter((door) => !(door in peers))

/** What one program finds: the names behind each door, by `import` and by `require`. */
const openDoors = `
const doors = ${JSON.stringify(plain)}
const names = (door) => Object.keys(door).filter((name) => name !== '__esModule').sort().join()
const open = async () => {
  for (const door of doors) {
    const required = names(require(door))
    const imported = names(await import(door))
    if (required === '' || required !== imported) throw new Error(door + ': ' + required)
  }
  console.log(process.version)
}
open()
`

/** Takes the same lock in every way, over whatever the argument leads to. */
const useLocks = `
const { connect, LeaseLostError } = require('holdfast')
const use = async () => {
  const holdfast = await connect(process.argv[2])
  const mutex = holdfast.mutex('report')
  const first = await mutex.run(async ({ fence, held }) => held && fence)
  const lease = await mutex.acquire({ timeoutMs: 5000 })
  const taken = await mutex.tryAcquire()
  const freed = await lease.release()
  await holdfast.close()
  console.log(holdfast.engine.name, taken === null && freed && lease.fence > first)
}
use()
`

describe.each(majors)('on Node %i', (major) => {
  let node = ''

  beforeAll(async () => {
    node = await obtainNode(major)
  })

  it('opens every door by import and by require', () => {
    expect(run(node, ['open-doors.cjs'], alone).trim()).toMatch(new RegExp(`^v${major}\\.`))
  })

  it('takes a lock in a file', () => {
    const url = `sqlite:${join(folder, `locks-${major}.db`)}`
    if (major >= FIRST_WITH_SQLITE) {
      expect(run(node, ['use-locks.cjs', url], alone)).toBe('sqlite true\n')
    } else {
      expect(() => run(node, ['use-locks.cjs', url], alone)).toThrow('@photostructure/sqlite')
      expect(run(node, ['use-locks.cjs', url], withSqlite())).toBe('sqlite true\n')
    }
  })

  it('takes a lock on a Redis server', () => {
    expect(run(node, ['use-locks.cjs', server.url], alone)).toBe('redis true\n')
  })
})

let server: RunningServer

beforeAll(async () => {
  installAlone(pack(folder).tarball, alone)
  writeFileSync(join(alone, 'open-doors.cjs'), openDoors)
  writeFileSync(join(alone, 'use-locks.cjs'), useLocks)
  server = await startServer()
  // All at once: what is not in the cache takes about ten seconds each to download.
  await Promise.all(majors.map((major) => obtainNode(major)))
})

afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** The same project with the SQLite that older Node needs. */
function withSqlite(): string {
  const peer = '@photostructure/sqlite'
  const path = join(alone, 'node_modules', peer)
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(join(root, 'node_modules', peer), path, 'dir')
  return alone
}
