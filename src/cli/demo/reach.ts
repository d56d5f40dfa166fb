import { connect } from '../../index.ts'
import { CliError, EXIT, usageError } from '../exit.ts'
import { withoutSecrets } from '../secret.ts'

/**
 * Connects once, so that what is wrong is told once and not by every process. Resolves to the name
 * of the engine.
 */
export async function reach(url: string): Promise<string> {
  try {
    const holdfast = await connect(url)
    await holdfast.close()
    return holdfast.engine.name
  } catch (error) {
    const message = withoutSecrets((error as Error).message, url)
    const { code } = error as { code?: string }
    if (code === 'HOLDFAST_ENGINE_FAILED') throw new CliError(EXIT.unavailable, message)
    throw usageError(`--url cannot be used: ${message}`)
  }
}
