import { moment, type Slot } from './crew.ts'
import { between, type Fault, oneOf, type Scene, type Struck } from './fault.ts'

const ANYWHERE = ['one', 'by hand', 'sentinel', 'cluster', 'quorum', 'sqlite'] as const

type Stand = 'holds' | 'waits'

function victim({ crew, locks, random }: Scene, stand: Stand): Slot | undefined {
  return oneOf(
    random,
    locks.flatMap((lock) => crew.at(lock, stand)),
  )
}

/** A fault for a process that holds, or waits, at the moment. */
function on(stand: Stand, act: (slot: Slot, scene: Scene) => Promise<Struck>): Fault['strike'] {
  return async (scene) => {
    const slot = victim(scene, stand)
    if (slot?.process === undefined) return undefined
    return { process: slot.process.name, ...(await act(slot, scene)) }
  }
}

async function kill(slot: Slot, { crew }: Scene): Promise<Struck> {
  const from = moment()
  await crew.kill(slot)
  return { from, until: moment() }
}

/** Others are served while it sleeps, so that it is over, as far as they know, when it begins. */
async function pause(slot: Slot, { crew, random, ttlMs, wait }: Scene): Promise<Struck> {
  const from = moment()
  crew.signal(slot, 'SIGSTOP')
  await wait(between(random, 1.2, 2.5) * ttlMs)
  crew.signal(slot, 'SIGCONT')
  return { from, until: from }
}

async function block(slot: Slot, { crew, random, ttlMs, wait }: Scene): Promise<Struck> {
  const from = moment()
  const ms = between(random, 1.2, 2.5) * ttlMs
  crew.command(slot, 'block', { ms })
  await wait(ms)
  return { from, until: from }
}

async function stepClock(slot: Slot, scene: Scene, sign: 1 | -1): Promise<Struck> {
  const from = moment()
  scene.clockOf(slot)?.step(sign * between(scene.random, 100, 3_600_000))
  return { from, until: moment() }
}

export const processFaults: readonly Fault[] = [
  {
    kind: 'kill-holder',
    title: 'holder killed (kill -9)',
    on: ANYWHERE,
    scope: 'group',
    strike: on('holds', kill),
  },
  {
    kind: 'kill-waiter',
    title: 'waiter killed (kill -9)',
    on: ANYWHERE,
    scope: 'group',
    strike: on('waits', kill),
  },
  {
    kind: 'pause-holder',
    title: 'holder stopped for longer than its lease (SIGSTOP)',
    on: ANYWHERE,
    scope: 'group',
    strike: on('holds', pause),
  },
  {
    kind: 'pause-waiter',
    title: 'waiter stopped for longer than a lease (SIGSTOP)',
    on: ANYWHERE,
    scope: 'group',
    strike: on('waits', pause),
  },
  {
    kind: 'block-holder',
    title: "holder's event loop blocked for longer than its lease",
    on: ANYWHERE,
    scope: 'group',
    strike: on('holds', block),
  },
  {
    kind: 'worker-clock-ahead',
    title: "holder's calendar clock set ahead, up to an hour",
    on: ANYWHERE,
    scope: 'group',
    needs: 'workers with clocks',
    strike: on('holds', (slot, scene) => stepClock(slot, scene, 1)),
  },
  {
    kind: 'worker-clock-back',
    title: "holder's calendar clock set back, up to an hour",
    on: ANYWHERE,
    scope: 'group',
    needs: 'workers with clocks',
    strike: on('holds', (slot, scene) => stepClock(slot, scene, -1)),
  },
]
