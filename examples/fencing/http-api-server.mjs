/**
 * An HTTP API that takes the fence in a header and refuses stale writes:
 *
 *   node examples/fencing/http-api-server.mjs 8080
 *
 * A real one keeps `fence` where it keeps `body`, and checks in the same transaction. Here both are
 * in memory, and one thread handles one request at a time.
 */
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

const reports = new Map()

const server = createServer(async (request, response) => {
  const { method, url } = request
  if (method === 'GET') {
    const report = reports.get(url)
    response.writeHead(report ? 200 : 404).end(report?.body)
    return
  }
  const body = await text(request)
  const fence = Number(request.headers['x-fence'])
  if (method !== 'PUT' || !Number.isSafeInteger(fence) || fence < 1) {
    response.writeHead(400).end('PUT with a header x-fence')
    return
  }
  // From here to `set` nothing is awaited, so no other request comes between.
  const seen = reports.get(url)?.fence ?? 0
  if (fence < seen) {
    response.writeHead(409).end(`fence ${fence} is older than ${seen}`)
    return
  }
  reports.set(url, { body, fence })
  response.writeHead(204).end()
})

server.listen(Number(process.argv[2] ?? 8080), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`)
})
process.once('SIGTERM', () => server.close())
