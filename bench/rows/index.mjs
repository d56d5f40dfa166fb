import { handover2, handover8, waiters1000 } from './contended.mjs'
import { distance1, distance5 } from './distance.mjs'
import { heap, importing } from './footprint.mjs'
import { manyKeys, pairs, serverCpu } from './pairs.mjs'
import { quorum3, quorum5 } from './quorum.mjs'
import { sqlite1, sqlite8, sqliteHandover8 } from './sqlite.mjs'
import { growth, renewals, waiting } from './standing.mjs'
import { telemetry } from './telemetry.mjs'

/** All rows, in the order in which they are told. A quick run leaves out those that are `long`. */
export const rows = [
  pairs,
  manyKeys,
  handover2,
  handover8,
  waiters1000,
  waiting,
  distance1,
  distance5,
  growth,
  renewals,
  serverCpu,
  heap,
  importing,
  sqlite1,
  sqlite8,
  sqliteHandover8,
  quorum3,
  quorum5,
  telemetry,
]
