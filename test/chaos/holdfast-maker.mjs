/** Locks of Holdfast, as a user makes them. */
export async function open({ library, url, options, client }) {
  const holdfast = await connected({ library, url, options, client })
  return {
    acquire(name, { permits, capacity, timeoutMs }) {
      if (capacity === 1) return holdfast.mutex(name).acquire({ timeoutMs })
      return holdfast.semaphore(name, { capacity }).acquire({ permits, timeoutMs })
    },
    close: () => holdfast.close(),
  }
}

async function connected({ library, url, options, client }) {
  const { connect, createHoldfast } = await import(`${library}/index.js`)
  if (client !== 'node-redis') return await connect(url, options)
  const { createClient } = await import('redis')
  const { redis } = await import(`${library}/engines/redis/index.js`)
  const { ttlMs, requestTimeoutMs, ...own } = options
  const engine = redis(createClient({ url }), own)
  return createHoldfast({ engine, ttlMs, requestTimeoutMs })
}
