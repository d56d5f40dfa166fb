import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')

/** Collects garbage, in whatever way this process was started. */
export const collect = runInNewContext('gc')
