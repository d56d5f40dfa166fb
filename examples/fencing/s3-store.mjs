/**
 * A store of objects with the conditional writes of S3, for the example beside it:
 *
 *   node examples/fencing/s3-store.mjs 9000
 *
 * It does what Amazon documents for PutObject: `If-None-Match: *` writes only a new object,
 * `If-Match: <ETag>` only over the object that has this ETag; else 412 PreconditionFailed, or 404
 * NoSuchKey where `If-Match` finds nothing. An ETag is the MD5 of the content, as of objects that
 * were written in one part. Headers that begin with x-amz-meta- are kept with the object.
 */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

const objects = new Map()

/** The code of S3 for a condition that does not hold, with its status. */
function refusal({ headers }, object) {
  if (headers['if-none-match'] === '*' && object) return [412, 'PreconditionFailed']
  if (headers['if-match'] === undefined) return undefined
  if (!object) return [404, 'NoSuchKey']
  return headers['if-match'] === object.etag ? undefined : [412, 'PreconditionFailed']
}

function metadata(headers) {
  return Object.fromEntries(
    Object.entries(headers).filter(([key]) => key.startsWith('x-amz-meta-')),
  )
}

const server = createServer(async (request, response) => {
  const body = await text(request)
  const object = objects.get(request.url)
  const answer = (status, code = '', headers = {}) => {
    response.writeHead(status, headers)
    response.end(code && `<Error><Code>${code}</Code></Error>`)
  }
  if (request.method === 'PUT') {
    const refused = refusal(request, object)
    if (refused) return answer(...refused)
    const etag = `"${createHash('md5').update(body).digest('hex')}"`
    objects.set(request.url, { body, etag, meta: metadata(request.headers) })
    return answer(200, '', { etag })
  }
  if (!object) return answer(404, request.method === 'HEAD' ? '' : 'NoSuchKey')
  response.writeHead(200, { etag: object.etag, ...object.meta })
  response.end(request.method === 'HEAD' ? undefined : object.body)
})

server.listen(Number(process.argv[2] ?? 9000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`)
})
process.once('SIGTERM', () => server.close())
