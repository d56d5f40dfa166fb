import { connect, createHoldfast, type Holdfast } from 'holdfast'
import { redis } from 'holdfast/redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  combinations as clientsByTopology,
  startWorld,
  topologies,
  type World,
} from '../redis/clients-topologies.ts'
import { combinationsOf, exercises, rows } from '../support/matrix.ts'

interface Opened {
  readonly holdfast: Holdfast
  close(): Promise<void>
}

async function open(world: World, client: string): Promise<Opened> {
  if (client === 'a URL') {
    const holdfast = await connect(urlOf(world))
    return { holdfast, close: () => holdfast.close() }
  }
  const kind = clientsByTopology.find(
    // A variant of a library has more words behind its title.
    ({ title, topology }) => title.startsWith(client) && topology === world.topology,
  )
  if (!kind) throw new Error(`there is no ${client} on a ${world.topology}`)
  const own = await kind.make(world)
  const holdfast = createHoldfast({ engine: redis(own.client) })
  return {
    holdfast,
    close: async () => {
      await holdfast.close()
      await own.close()
    },
  }
}

function urlOf({ topology, addresses }: World): string {
  const hosts = addresses.map(({ host, port }) => `${host}:${port}`).join(',')
  if (topology === 'single') return `redis://${hosts}`
  return `redis+${topology}://${hosts}${topology === 'sentinel' ? '/holdfast' : ''}`
}

describe.each(topologies)('on a %s', (topology) => {
  let world: World
  beforeAll(async () => {
    world = await startWorld(topology)
  })
  afterAll(() => world.stop())

  const here = rows.filter(({ engine, ...row }) => engine === 'redis' && row.topology === topology)
  describe.each(here.flatMap(combinationsOf))('$primitive through $client', (one) => {
    it('is handed over and leaves nothing behind', async () => {
      const exercise = exercises.get(one.primitive)
      expect(exercise).toBeDefined()
      const a = await open(world, one.client)
      const b = await open(world, one.client)
      try {
        await exercise?.(a.holdfast, b.holdfast, `${one.primitive} ${one.client}`)
      } finally {
        await a.close()
        await b.close()
      }
    })
  })
})
