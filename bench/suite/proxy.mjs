/**
 * A network between clients and one server on which everything takes `delayMs` each way. A process
 * of its own: it must not wait for the work of those it stands between, and while bytes are on
 * their way it looks at the clock without pause, since timers are coarser than a millisecond.
 */
import { createConnection, createServer } from 'node:net'

const { target, delayMs } = JSON.parse(process.argv[2])
const onTheWay = []
let looking = false

function look() {
  const now = performance.now()
  while (onTheWay.length > 0 && onTheWay[0].at <= now) {
    const { socket, chunk } = onTheWay.shift()
    if (!socket.destroyed) socket.write(chunk)
  }
  looking = onTheWay.length > 0
  if (looking) setImmediate(look)
}

function carry(from, to) {
  from.setNoDelay(true)
  from.on('data', (chunk) => {
    onTheWay.push({ at: performance.now() + delayMs, socket: to, chunk })
    if (looking) return
    looking = true
    setImmediate(look)
  })
  from.on('error', () => {})
  from.on('close', () => to.destroy())
}

const listener = createServer((client) => {
  const server = createConnection(target, '127.0.0.1')
  carry(client, server)
  carry(server, client)
})
listener.listen(0, '127.0.0.1', () => process.send(listener.address().port))
process.on('disconnect', () => process.exit())
