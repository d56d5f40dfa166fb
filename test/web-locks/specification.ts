import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { argumentClauses } from './clauses/arguments.ts'
import { callbackClauses } from './clauses/callbacks.ts'
import { orderClauses } from './clauses/order.ts'
import { queryClauses } from './clauses/query.ts'
import { signalClauses } from './clauses/signal.ts'
import { stealClauses } from './clauses/steal.ts'
import { Page, type World } from './world.ts'

/** The clauses of https://w3c.github.io/web-locks/, between managers of several processes. */
export function webLocksSpecification(start: () => Promise<World>): void {
  let world: World
  let page: Page

  beforeAll(async () => {
    world = await start()
  })

  beforeEach(() => {
    page = new Page(world)
  })

  afterEach(async () => {
    await page.close()
  })

  afterAll(async () => {
    await world.stop()
  })

  const current = () => page
  argumentClauses(current)
  callbackClauses(current)
  orderClauses(current)
  signalClauses(current)
  stealClauses(current)
  queryClauses(current)
}
