import { maskedUrl } from '../secret.ts'

/** What the command is told of the lock it runs under. */
export interface Told {
  readonly lock: string
  readonly holder: string
  readonly fence: number
  readonly engine: string
  readonly url: string | undefined
}

/**
 * The environment of a command: that of holdfast, with the lock. A URL with a password is handed on
 * with *** in its place, so that a holdfast within refuses it instead of using another engine.
 */
export function environmentFor(env: NodeJS.ProcessEnv, told: Told): NodeJS.ProcessEnv {
  const { url } = told
  const outer = env['HOLDFAST_WITHIN']
  return {
    ...env,
    HOLDFAST_LOCK: told.lock,
    HOLDFAST_HOLDER: told.holder,
    HOLDFAST_FENCE: String(told.fence),
    HOLDFAST_ENGINE: told.engine,
    // The marks by which its processes are found: this holder, and those around it.
    HOLDFAST_WITHIN: outer ? `${outer} ${told.holder}` : told.holder,
    ...(url === undefined ? {} : { HOLDFAST_URL: maskedUrl(url) }),
  }
}
