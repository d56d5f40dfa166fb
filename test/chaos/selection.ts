import type { ServerName } from '../support/servers.ts'
import type { GroundSpec } from './ground.ts'
import type { Scenario } from './scenario.ts'

/** What `npm test` runs of the laboratory: every fault a few times. */
export const selection: readonly {
  readonly name: string
  readonly on: GroundSpec['on']
  readonly server: ServerName
  readonly kinds: readonly string[]
  readonly strikes: number
  readonly more?: Partial<Scenario>
}[] = [
  {
    name: 'a crew that is killed, stopped and blocked',
    on: 'one',
    server: 'redis-7.0',
    kinds: ['kill-holder', 'kill-waiter', 'pause-holder', 'pause-waiter', 'block-holder'],
    strikes: 5,
  },
  {
    name: 'a network that fails',
    on: 'one',
    server: 'valkey-9',
    kinds: [
      'cut',
      'half-close',
      'cut-before',
      'cut-after',
      'refused',
      'black-hole-requests',
      'black-hole-replies',
      'black-hole-both',
      'slow',
      'messages-lost',
    ],
    strikes: 3,
  },
  {
    name: 'a server that refuses and keeps its data',
    on: 'one',
    server: 'redis-8.0',
    kinds: [
      'restart',
      'pause-server',
      'script-flush',
      'client-kill',
      'memory-full',
      'readonly',
      'loading',
      'permissions',
      'busy-script',
      'worker-clock-ahead',
      'worker-clock-back',
    ],
    strikes: 2,
    more: { client: 'node-redis' },
  },
  {
    name: 'a server that loses data',
    on: 'one',
    server: 'valkey-8',
    kinds: ['restart-empty', 'evict', 'foreign-del', 'overwritten', 'flushall'],
    strikes: 3,
  },
  {
    // Apart from those that lose data: no fence is promised where both come together.
    name: 'a server whose clock is set',
    on: 'one',
    server: 'valkey-8',
    kinds: ['server-clock-ahead', 'server-clock-back'],
    strikes: 3,
  },
  {
    name: 'a replica promoted by hand',
    on: 'by hand',
    server: 'redis-7.0',
    kinds: ['failover-by-hand'],
    strikes: 5,
  },
  {
    name: 'Sentinels that fail over',
    on: 'sentinel',
    server: 'redis-7.0',
    kinds: ['failover-sentinel', 'kill-holder'],
    strikes: 2,
    more: { groups: 2 },
  },
  {
    name: 'a Cluster that fails over',
    on: 'cluster',
    server: 'valkey-8',
    kinds: ['failover-cluster', 'takeover', 'kill-holder'],
    strikes: 2,
    more: { groups: 2 },
  },
  {
    name: 'a quorum under kills, cuts and restarts',
    on: 'quorum',
    server: 'redis-7.0',
    kinds: ['kill-holder', 'pause-holder', 'cut-after', 'black-hole-both', 'slow', 'restart'],
    strikes: 3,
    more: { groups: 2 },
  },
  {
    name: 'a SQLite file under kills, stops and a busy file',
    on: 'sqlite',
    server: 'redis-7.0',
    kinds: ['kill-holder', 'kill-waiter', 'pause-holder', 'block-holder', 'file-busy'],
    strikes: 5,
  },
]
