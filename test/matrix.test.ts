import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createHoldfast } from 'holdfast'
import { MemoryStore, memory } from 'holdfast/memory'
import { describe, expect, it } from 'vitest'
import { type Combination, combinationsOf, exercises, impossible, rows } from './support/matrix.ts'

const root = new URL('../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

/** The words of a union type in a source. */
function wordsOf(path: string, union: RegExp): string[] {
  const found = union.exec(read(path))?.[1] ?? ''
  const words = [...found.matchAll(/'([^']+)'/g)].map(([, word = '']) => word)
  if (words.length === 0) throw new Error(`${path} has no ${union}`)
  return words
}

/** The client libraries of package.json, each with the major version it is tested in. */
function libraries(): string[] {
  const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<
    string,
    Record<string, string>
  >
  const titles = new Map([
    ['ioredis', 'ioredis'],
    ['redis', 'node-redis'],
    ['@valkey/valkey-glide', 'valkey-glide'],
  ])
  return Object.entries({ ...dependencies, ...devDependencies }).flatMap(([name, range]) => {
    const [, alias, version = range] = /^npm:(.+)@(.+)$/.exec(range) ?? []
    const title = titles.get(alias ?? name)
    return title === undefined ? [] : [`${title} ${/\d+/.exec(version)?.[0]}`]
  })
}

/** Everything that there is, from the sources themselves. */
function product(): Combination[] {
  const kinds = wordsOf('src/core/engine.ts', /export type Kind =([^\n]*)\n/)
  const topologies = wordsOf('src/engines/redis/port.ts', /readonly topology:([^\n]*)\n/)
  const engines = readdirSync(new URL('src/engines/', root))
  return [...kinds, 'all'].flatMap((primitive) =>
    engines.flatMap((engine) => {
      if (engine !== 'redis') return [{ primitive, engine, topology: 'none', client: 'none' }]
      return topologies.flatMap((topology) =>
        ['a URL', ...libraries()].map((client) => ({ primitive, engine, topology, client })),
      )
    }),
  )
}

const textOf = ({ primitive, engine, topology, client }: Combination): string =>
  [primitive, engine, topology, client].join(' / ')

type Rule = (typeof impossible)[number]

function excludes(rule: Rule, one: Combination): boolean {
  return (['primitive', 'engine', 'topology', 'client'] as const).every(
    (part) => rule[part] === undefined || rule[part] === one[part],
  )
}

function isImpossible(one: Combination): boolean {
  return impossible.some((rule) => excludes(rule, one))
}

describe('the matrix of primitive, engine, topology and client', () => {
  const tested = rows.flatMap(combinationsOf).map(textOf)

  it('has a test for every combination, or a reason why there can be none', () => {
    const wanted = product().filter((one) => !isImpossible(one))
    expect(wanted.length).toBeGreaterThan(90)
    expect(wanted.map(textOf).filter((one) => !tested.includes(one))).toEqual([])
  })

  it('names nothing twice, nothing impossible and nothing that does not exist', () => {
    const possible = product().filter((one) => !isImpossible(one))
    expect(new Set(tested).size).toBe(tested.length)
    expect(tested.filter((one) => !possible.map(textOf).includes(one))).toEqual([])
    expect(impossible.filter((rule) => !product().some((one) => excludes(rule, one)))).toEqual([])
  })

  it('is gone through by suites that exist and take their tests from the table', () => {
    for (const { suite, engine } of rows) {
      expect(existsSync(new URL(suite, root)) ? suite : `${suite} is missing`).toBe(suite)
      expect(read(suite)).toMatch(new RegExp(`engine === '${engine}'[^]*exercises\\.get\\(`))
    }
  })
})

describe.each(rows.filter(({ engine }) => engine === 'memory').flatMap(combinationsOf))(
  '$primitive on $engine',
  ({ primitive }) => {
    it('is handed over and leaves nothing behind', async () => {
      const exercise = exercises.get(primitive)
      expect(exercise).toBeDefined()
      const store = new MemoryStore()
      const a = createHoldfast({ engine: memory({ store }) })
      const b = createHoldfast({ engine: memory({ store }) })
      await exercise?.(a, b, 'job')
      await a.close()
      await b.close()
    })
  },
)
