import { createHash } from 'node:crypto'
import type { Core } from '../../core/core.ts'

/** What engines take for an identity. */
const IDENTITY = /^[0-9a-f]{32}$/

/** A quorum may store an identity with other last digits. */
const CERTAIN_DIGITS = 24

/** How many digits of a stored identity come from a chosen identifier; the others are random. */
const CHOSEN_DIGITS = 16

/**
 * What a chosen identifier is stored as: never the same twice, since two holders with one identity
 * would be one holder, both with the lock.
 */
export function identityFor(identifier: string, core: Core): string {
  return digitsOf(identifier) + core.random.identity().slice(CHOSEN_DIGITS)
}

/**
 * What is stored of the holder that this identifier names: a drawn identifier, a chosen one, or one
 * that the original library stored as it is.
 */
export async function holderOf(
  core: Core,
  name: string,
  identifier: string,
): Promise<string | undefined> {
  core.assertOpen(name)
  const state = await core.reach(() => core.engine.inspect(name))
  const identities = state?.holders.map(({ identity }) => identity) ?? []
  const drawn = IDENTITY.test(identifier) ? identifier.slice(0, CERTAIN_DIGITS) : undefined
  const chosen = digitsOf(identifier)
  return identities.find((identity) => {
    if (!IDENTITY.test(identity)) return identity === identifier
    return (drawn !== undefined && identity.startsWith(drawn)) || identity.startsWith(chosen)
  })
}

/** Whether an identity is one of Holdfast's; another program's goes only by force. */
export function isOwn(identity: string): boolean {
  return IDENTITY.test(identity)
}

function digitsOf(identifier: string): string {
  return createHash('sha256').update(identifier).digest('hex').slice(0, CHOSEN_DIGITS)
}
