/**
 * A web server that does one thing per user at a time, on however many machines it runs; a second
 * request meanwhile is answered 409.
 *
 *   node examples/fastify/server.mjs redis://localhost:6379 3000
 *   curl -X POST http://127.0.0.1:3000/users/7/export
 */
import { setTimeout as work } from 'node:timers/promises'
import Fastify from 'fastify'
import { connect } from 'holdfast'

const [url = 'redis://localhost:6379', port = '3000'] = process.argv.slice(2)

const holdfast = await connect(url, { label: 'export server' })
const app = Fastify()

app.post('/users/:id/export', async (request, reply) => {
  const lease = await holdfast.mutex(`export:${request.params.id}`).tryAcquire({ ttlMs: 5000 })
  if (lease === null) {
    return reply.code(409).header('retry-after', '1').send({ error: 'an export is under way' })
  }
  try {
    // The work ends early when the lease is lost: another server may have begun by then.
    await work(Number(request.query.ms ?? 1000), undefined, { signal: lease.signal })
    return { exported: request.params.id, fence: lease.fence }
  } finally {
    await lease.release()
  }
})

// An engine that cannot be reached says nothing about who is busy: 503, not 409.
app.setErrorHandler((error, _request, reply) => {
  const isOurs = error.code?.startsWith('HOLDFAST_')
  return reply.code(isOurs ? 503 : (error.statusCode ?? 500)).send({ error: error.message })
})

// Requests under way are answered first, so that each gives its lock back itself.
app.addHook('onClose', () => holdfast.close())
let stopping = false
process.once('SIGTERM', () => {
  stopping = true
  app.close()
})
app.addHook('onSend', async (_request, reply) => {
  // Else the client would keep its connection open, and this process with it.
  if (stopping) reply.header('connection', 'close')
})

console.log(`listening on ${await app.listen({ port: Number(port), host: '127.0.0.1' })}`)
