import type { Finding } from '../../core/finding.ts'
import { count, type Info } from './info.ts'

/** The oldest versions that are tested. */
const LEAST_REDIS = 7
const LEAST_VALKEY = 8

/** Above this share of a limit, the limit is about to be met. */
const NEARLY_FULL = 0.9

/** The slots of every Cluster. */
const SLOTS = 16_384

/** In what INFO says of a replica, such as `ip=10.0.0.2,port=6379,state=online,offset=14,lag=0`. */
const ONLINE = /\bstate=online\b/

/**
 * What INFO tells about a server; INFO changes nothing and is asked once. `wanted` is how many
 * replicas must confirm a grant.
 */
export function serverFindings(info: Info, topology: string, wanted = 0): Finding[] {
  return [
    ...version(info),
    ...role(info),
    ...eviction(info),
    ...memory(info),
    ...connections(info),
    ...saving(info),
    ...replicas(info, wanted),
    ...secondPrimary(info, topology, wanted),
    ...cluster(info, topology),
  ]
}

function version(info: Info): Finding[] {
  const valkey = info.get('valkey_version')
  const redis = info.get('redis_version')
  const shown = valkey ?? redis
  const least = valkey === undefined ? LEAST_REDIS : LEAST_VALKEY
  if (shown === undefined || Number.parseInt(shown, 10) >= least) return []
  return [
    {
      code: 'server-version',
      severity: 'danger',
      seen: `The server is ${valkey === undefined ? 'Redis' : 'Valkey'} ${shown}.`,
      endangers: 'Scripts may fail or behave in another way than they were tested for.',
      advice: `Use Redis ${LEAST_REDIS}.0 or newer, or Valkey ${LEAST_VALKEY} or newer.`,
    },
  ]
}

function role(info: Info): Finding[] {
  const primary = `${info.get('master_host')}:${info.get('master_port')}`
  if (info.get('role') !== 'slave') return []
  return [
    {
      code: 'replica',
      severity: 'danger',
      seen: `The server is a replica of ${primary}.`,
      endangers:
        'It takes no locks, or if it can be written to, others take the same on the primary.',
      advice: `Connect to the primary, or through Sentinel or a Cluster client that finds it.`,
    },
  ]
}

function eviction(info: Info): Finding[] {
  const policy = info.get('maxmemory_policy') ?? 'noeviction'
  if (policy === 'noeviction') return []
  const limit = count(info, 'maxmemory')
  return [
    {
      code: 'eviction',
      severity: limit > 0 ? 'danger' : 'note',
      seen: `maxmemory-policy is ${policy}, maxmemory is ${limit}.`,
      endangers: 'When memory is full the server drops locks that are held: two holders at once.',
      advice: 'Set maxmemory-policy to noeviction, or keep locks on a server of their own.',
    },
  ]
}

function memory(info: Info): Finding[] {
  const limit = count(info, 'maxmemory')
  const used = count(info, 'used_memory')
  if (limit === 0 || used < limit * NEARLY_FULL) return []
  return [
    {
      code: 'memory',
      severity: 'warning',
      seen: `${used} of ${limit} bytes (maxmemory) are used.`,
      endangers: 'When memory is full, no lock can be taken, or locks that are held are dropped.',
      advice: 'Raise maxmemory, or remove data.',
    },
  ]
}

function connections(info: Info): Finding[] {
  const limit = count(info, 'maxclients')
  const open = count(info, 'connected_clients')
  if (limit === 0 || open < limit * NEARLY_FULL) return []
  return [
    {
      code: 'connections',
      severity: 'warning',
      seen: `${open} of ${limit} connections (maxclients) are open.`,
      endangers: 'A process that has to connect again is refused, and its leases end.',
      advice: 'Raise maxclients, or close connections that nobody needs.',
    },
  ]
}

/** A server that cannot save refuses every write by default. */
function saving(info: Info): Finding[] {
  const isSaved = info.get('rdb_last_bgsave_status') !== 'err'
  const isWritten = info.get('aof_last_write_status') !== 'err'
  if (isSaved && isWritten) return []
  return [
    {
      code: 'saving-fails',
      severity: 'danger',
      seen: `The last ${isSaved ? 'write of the append-only file' : 'background save'} failed.`,
      endangers: 'The server may refuse every write; after a restart it has forgotten its locks.',
      advice: 'Look into the log of the server; often its disk is full or not writable.',
    },
  ]
}

function replicas(info: Info, wanted: number): Finding[] {
  if (info.get('role') !== 'master') return []
  const linked = count(info, 'connected_slaves')
  const online = onlineReplicas(info)
  if (online < wanted) return [tooFew(online, wanted)]
  // Whoever is promoted has what each of them confirmed.
  if (linked <= wanted || info.has('min_slaves_good_slaves')) return []
  return [
    {
      code: 'asynchronous-replicas',
      severity: 'note',
      seen:
        wanted > 0
          ? `Holdfast waits for ${wanted} of the ${linked} replicas of the server.`
          : `The server answers before its replicas (${linked}) have what it wrote.`,
      endangers: 'A replica that is promoted may lack the newest locks: two holders at once.',
      advice: 'Let the resource refuse smaller fences than the largest it saw.',
    },
  ]
}

/** With either, a primary that nobody follows any more after a failover grants nothing. */
function secondPrimary(info: Info, topology: string, wanted: number): Finding[] {
  if (topology !== 'sentinel' || info.get('role') !== 'master') return []
  if (wanted > 0 || info.has('min_slaves_good_slaves')) return []
  return [
    {
      code: 'second-primary',
      severity: 'warning',
      seen: 'min-replicas-to-write is 0, and replicas.min is not set.',
      endangers:
        'A primary that comes back after a failover grants locks beside the new one, until the ' +
        'Sentinels make it a replica: two holders at once.',
      advice: 'Set replicas.min, or min-replicas-to-write on every server; check fences.',
    },
  ]
}

function tooFew(online: number, wanted: number): Finding {
  return {
    code: 'replica-target',
    severity: 'danger',
    seen: `replicas.min is ${wanted}, and ${online} replicas are connected to the server.`,
    endangers: 'Every lock is given back as soon as it is granted, and every lease is lost.',
    advice: 'Bring the replicas back, or lower replicas.min.',
  }
}

/** Those that can answer WAIT; others are still being sent what was there before. */
function onlineReplicas(info: Info): number {
  return [...info].filter(([field, value]) => /^slave\d+$/.test(field) && ONLINE.test(value)).length
}

function cluster(info: Info, topology: string): Finding[] {
  if (info.get('cluster_enabled') !== '1' || topology === 'cluster') return []
  return [
    {
      code: 'cluster-node',
      severity: 'danger',
      seen: 'The server is a node of a Cluster, and the client is not a Cluster client.',
      endangers: 'Locks whose slot is on another node cannot be taken.',
      advice: 'Use the Cluster client of your library.',
    },
  ]
}

/** A node knows whether the Cluster serves all slots. */
export function clusterFindings(info: Info): Finding[] {
  const state = info.get('cluster_state')
  const served = count(info, 'cluster_slots_ok')
  const isUp = state === 'ok'
  // With cluster-require-full-coverage no, the others go on while slots are without a primary.
  if (state === undefined || (isUp && served === SLOTS)) return []
  return [
    {
      code: 'cluster-down',
      severity: 'danger',
      seen: `cluster_state is ${state}; ${served} of ${SLOTS} slots are served.`,
      endangers: `${isUp ? 'Some locks cannot' : 'No lock can'} be taken, and leases that cannot be renewed are lost.`,
      advice: 'Bring the missing nodes back, or give their slots to others.',
    },
  ]
}
