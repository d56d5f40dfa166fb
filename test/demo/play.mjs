/** The built demo, looking for a running server elsewhere: play.mjs <port> [options] */
import { fileURLToPath } from 'node:url'

// As the command line does: warnings of Node itself are not for users of a program.
process.removeAllListeners('warning')
const folder = new URL('../../dist/cli/demo/', import.meta.url)
const { demo } = await import(new URL('index.js', folder).href)
const [port, ...args] = process.argv.slice(2)
try {
  process.exitCode = await demo(args, process, {
    workerFile: fileURLToPath(new URL('worker.js', folder)),
    keeperFile: fileURLToPath(new URL('keeper.js', folder)),
    localPort: Number(port),
  })
} catch (error) {
  console.error(error.message)
  process.exitCode = error.exitCode ?? 1
}
