import { build } from '../demo/run.ts'

/** The tests of the command line run what is built. */
export default async function setup(): Promise<void> {
  await build()
}
