import { createConnection } from 'node:net'
import { createInterface } from 'node:readline'

/** The fenced resource of resource.mjs, from another process. */
export async function openResource(path) {
  const socket = createConnection(path)
  const waiting = []
  createInterface({ input: socket }).on('line', (line) => waiting.shift()(JSON.parse(line)))
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  const ask = (question) =>
    new Promise((resolve) => {
      waiting.push(resolve)
      socket.write(`${JSON.stringify(question)}\n`)
    })
  return {
    read: (lock, fence, turn) => ask({ lock, fence, turn }),
    write: (lock, fence, turn, value) => ask({ lock, fence, turn, value }),
    report: () => ask({ report: true }),
    close: () => socket.destroy(),
  }
}
