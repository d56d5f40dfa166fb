import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { libraryFolder } from '../suite/library.mjs'
import { interleave, measured } from '../suite/rounds.mjs'
import { startServer } from '../suite/servers.mjs'

const suite = (file) => fileURLToPath(new URL(`../suite/${file}`, import.meta.url))

/** Runs a script of the suite that tells one thing and ends. */
async function told(script, job) {
  const child = fork(suite(script), [JSON.stringify(job)])
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${script} ended with ${code} and told nothing`)
  })
  const [answer] = await Promise.race([once(child, 'message'), ended])
  ended.catch(() => {})
  return answer
}

export const heap = {
  name: 'heap',
  title: 'Heap of the process for each held lock, and what is left after its release',
  columns: [
    { key: 'held', label: 'bytes per held lock' },
    { key: 'left', label: 'bytes left of each' },
  ],
  chart: { better: 'lower' },
  async run(bench) {
    const server = await startServer()
    const contenders = bench.pick(
      ({ name, kind, polling }) =>
        name.startsWith('raw, ') ||
        kind === 'holdfast' ||
        (polling === 'defaults' && bench.slowPeer({ kind, name })),
    )
    try {
      const results = await interleave({
        contenders,
        rounds: bench.rounds(1, 7),
        warmUp: 0,
        ...bench.pace,
        async turn({ name }) {
          await server.clear()
          const job = { contender: name, url: server.url, locks: bench.quick ? 3000 : 10_000 }
          return await told('heap.mjs', job)
        },
      })
      const entries = contenders.map(({ name, kind }) => ({
        contender: name,
        kind,
        values: { held: measured(results, name, 'held'), left: measured(results, name, 'left') },
      }))
      const verdicts = entries
        .filter(({ kind }) => kind === 'holdfast')
        .flatMap(({ contender, values: { held, left } }) => [
          {
            what: `${contender}, held`,
            reach: '<= 1,536 bytes',
            got: held.median,
            met: held.median <= 1536,
          },
          {
            what: `${contender}, left`,
            reach: '<= 64 bytes',
            got: left.median,
            met: left.median <= 64,
          },
        ])
      return { entries, verdicts }
    } finally {
      await server.stop()
    }
  },
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const bench = fileURLToPath(new URL('..', import.meta.url))

/** Who is imported after its client: its modules, and where its package lies. */
function imports(peers) {
  const library = libraryFolder()
  const from = createRequire(join(library, 'index.js'))
  const url = (path) => pathToFileURL(path).href
  const ioredis = url(from.resolve('ioredis'))
  const own = ['index.js', 'engines/redis/index.js'].map((file) => url(join(library, file)))
  const list = [{ name: 'holdfast', kind: 'holdfast', before: [ioredis], measured: own }]
  if (!peers) return list
  const packages = ['redlock-4', 'redlock-5', '@sesamecare-oss/redlock', 'redis-semaphore']
  for (const name of [...packages, '@verrou/core', 'redlock-universal']) {
    const more = name === '@verrou/core' ? ['@verrou/core/drivers/redis'] : []
    const client = url(createRequire(join(bench, 'main.mjs')).resolve('ioredis'))
    const paths = [name, ...more].map((path) => import.meta.resolve(path))
    list.push({ name, kind: 'peer', before: [client], measured: paths })
  }
  return list
}

/** What `npm install` puts on the disk, in KiB, without the client. */
function installedKib({ name, kind }) {
  if (kind === 'holdfast') {
    const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
    const [pack] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' }))
    return pack.unpackedSize / 1024
  }
  const seen = new Set()
  let bytes = 0
  const add = (folder) => {
    if (seen.has(folder)) return
    seen.add(folder)
    bytes += sizeOf(folder)
    const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    for (const needed of Object.keys(dependencies)) {
      const nested = join(folder, 'node_modules', needed)
      add(existsSync(nested) ? nested : join(bench, 'node_modules', needed))
    }
  }
  add(join(bench, 'node_modules', name))
  return bytes / 1024
}

function sizeOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !nestedIn(folder, entry.parentPath ?? entry.path))
    .reduce(
      (sum, entry) => sum + statSync(join(entry.parentPath ?? entry.path, entry.name)).size,
      0,
    )
}

/** Packages inside a package are counted for themselves. */
function nestedIn(folder, path) {
  return `${path}/`.slice(folder.length).includes('/node_modules/')
}

export const importing = {
  name: 'import',
  title: 'Import of the library and its Redis engine, and its size on the disk, without the client',
  columns: [
    { key: 'ms', label: 'ms after the client', digits: 1 },
    { key: 'kib', label: 'KiB installed' },
  ],
  chart: { better: 'lower' },
  async run(bench) {
    const list = imports(bench.peers)
    const results = await interleave({
      contenders: list,
      rounds: bench.rounds(5, 31),
      warmUp: 1,
      ...bench.pace,
      turn: async ({ before, measured }) => ({
        ms: await told('import-time.mjs', { before, measured }),
      }),
    })
    const entries = list.map((one) => {
      const ms = measured(results, one.name, 'ms')
      return { contender: one.name, kind: one.kind, values: { ms, kib: installedKib(one) } }
    })
    const { ms, kib } = entries[0].values
    const verdicts = [
      { what: 'import', reach: '<= 25 ms', got: ms.median, met: ms.median <= 25 },
      { what: 'installed size', reach: '<= 400 KiB', got: kib, met: kib <= 400 },
    ]
    return { entries, verdicts }
  },
}
