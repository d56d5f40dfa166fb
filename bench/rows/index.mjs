import { handover2, handover8, waiters1000 } from './contended.mjs'
import { manyKeys, pairs } from './pairs.mjs'

/** All rows, in the order in which they are told. */
export const rows = [pairs, manyKeys, handover2, handover8, waiters1000]
