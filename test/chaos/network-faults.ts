import type { Proxy, Side } from '../support/proxy.ts'
import { moment } from './crew.ts'
import { between, type Fault, oneOf, RECONNECT_MS, type Scene, type Struck } from './fault.ts'

/** The networks of one process: on a quorum those to all of its nodes, or to one. */
function network(scene: Scene): { proxies: readonly Proxy[]; process: string } | undefined {
  const { crew, locks, random, networkOf } = scene
  const stand = random() < 0.6 ? 'holds' : 'waits'
  const slot = oneOf(
    random,
    locks.flatMap((lock) => crew.at(lock, stand)),
  )
  if (slot?.process === undefined) return undefined
  const all = networkOf(slot)
  const one = oneOf(random, all)
  const proxies = random() < 0.5 || one === undefined ? all : [one]
  return { proxies, process: slot.process.name }
}

function over(act: (proxies: readonly Proxy[], scene: Scene) => Promise<Struck | undefined>) {
  return async (scene: Scene): Promise<Struck | undefined> => {
    const struck = network(scene)
    if (struck === undefined) return undefined
    const done = await act(struck.proxies, scene)
    return done && { process: struck.process, ...done }
  }
}

/** Sets a fault for a while, up to one and a half leases, and heals it. */
function forAWhile(set: (proxy: Proxy, scene: Scene) => void) {
  return over(async (proxies, scene) => {
    const from = moment()
    for (const proxy of proxies) set(proxy, scene)
    await scene.wait(between(scene.random, 0.3, 1.5) * scene.ttlMs)
    const stuck = scene.random() < 0.5 ? 'deliver' : 'drop'
    for (const proxy of proxies) proxy.heal({ stuck })
    return { from, until: moment() }
  })
}

/** Waits for the next command that a cut was set for. */
function atNextCommand(set: (proxy: Proxy) => void) {
  return over(async (proxies, scene) => {
    const [proxy] = proxies
    if (proxy === undefined) return undefined
    const before = proxy.counters.cuts
    set(proxy)
    for (let waits = 0; proxy.counters.cuts === before; waits += 1) {
      if (waits > 200) {
        proxy.heal()
        return undefined
      }
      await scene.wait(2)
    }
    return { from: moment(), until: moment() }
  })
}

const blackHole = (side: Side) => forAWhile((proxy) => proxy.blackHole(side))
const common = {
  ofNetwork: true,
  on: ['one', 'quorum'],
  scope: 'group',
  furtherMs: RECONNECT_MS,
} as const

export const networkFaults: readonly Fault[] = [
  {
    ...common,
    kind: 'cut',
    title: 'connections of a process cut',
    strike: over(async (proxies) => {
      for (const proxy of proxies) proxy.dropConnections()
      return { from: moment(), until: moment() }
    }),
  },
  {
    ...common,
    kind: 'half-close',
    title: 'one direction of the connections of a process closed',
    strike: over(async (proxies, { random }) => {
      const side = random() < 0.5 ? 'requests' : 'replies'
      for (const proxy of proxies) proxy.halfClose(side)
      return { from: moment(), until: moment() }
    }),
  },
  {
    ...common,
    kind: 'cut-before',
    title: 'connection cut before the server sees a request',
    strike: atNextCommand((proxy) => proxy.cutBeforeServer()),
  },
  {
    ...common,
    kind: 'cut-after',
    title: 'reply dropped: connection cut after the server ran the request',
    strike: atNextCommand((proxy) => proxy.cutAfterServer()),
  },
  {
    ...common,
    kind: 'refused',
    title: 'connections of a process cut, new ones refused for a while',
    strike: over(async (proxies, scene) => {
      const from = moment()
      await Promise.all(proxies.map((proxy) => proxy.refuse()))
      for (const proxy of proxies) proxy.dropConnections()
      await scene.wait(between(scene.random, 0.3, 1.5) * scene.ttlMs)
      await Promise.all(proxies.map((proxy) => proxy.accept()))
      return { from, until: moment() }
    }),
  },
  {
    ...common,
    kind: 'black-hole-requests',
    title: 'requests of a process swallowed, later delivered or dropped',
    strike: blackHole('requests'),
  },
  {
    ...common,
    kind: 'black-hole-replies',
    title: 'replies to a process swallowed, later delivered or dropped',
    strike: blackHole('replies'),
  },
  {
    ...common,
    kind: 'black-hole-both',
    title: 'a process cut off in both directions, connections left open',
    strike: blackHole('both'),
  },
  {
    ...common,
    kind: 'slow',
    title: 'network of a process slow: up to 0.4 of a lease each way, or 2 KB a second',
    strike: forAWhile((proxy, { random, ttlMs }) => {
      if (random() < 0.3) proxy.throttle({ bytesPerSecond: 2_000 })
      const most = 0.4 * ttlMs
      proxy.delay({ requestMs: between(random, 1, most), replyMs: between(random, 1, most) })
    }),
  },
  {
    ...common,
    kind: 'messages-lost',
    title: 'pub/sub messages to a process lost',
    strike: forAWhile((proxy, { random }) =>
      proxy.dropMessages({ probability: 0.5 + random() / 2, seed: Math.floor(random() * 2 ** 31) }),
    ),
  },
]
