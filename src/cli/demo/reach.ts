import { open } from '../engine.ts'

/**
 * Connects once, so that what is wrong is told once and not by every process. Resolves to the name
 * of the engine.
 */
export async function reach(url: string): Promise<string> {
  const holdfast = await open(url)
  await holdfast.close()
  return holdfast.engine.name
}
