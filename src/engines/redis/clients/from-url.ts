import { readFile } from 'node:fs/promises'
import type { RedisOptions as IoredisOptions } from 'ioredis'
import type { PortOptions, RedisPort } from '../port.ts'
import type { ParsedRedisUrl } from '../url.ts'
import { ioredisPort } from './ioredis.ts'

type RedisOptions = Omit<IoredisOptions, 'replyMapping'>

/**
 * What a TLS connection is made with, each in PEM: the certificate authority to trust instead of
 * those of Node, and the client's own certificate and key where the server asks for one.
 */
export interface TlsOptions {
  readonly ca?: string | Uint8Array
  readonly cert?: string | Uint8Array
  readonly key?: string | Uint8Array
  /** The name that certificates are checked against, instead of the host's. */
  readonly serverName?: string
}

/** A port for a URL, over the ioredis that comes with this package. */
export async function portFromUrl(
  url: ParsedRedisUrl,
  options: PortOptions,
  tls: TlsOptions = {},
): Promise<RedisPort> {
  const { Cluster, Redis } = await import('ioredis')
  const common = { ...access(url), ...(await secured(url, tls)) }
  const lazyConnect = true
  switch (url.topology) {
    case 'single':
      return ioredisPort(new Redis({ ...common, ...where(url), db: url.db, lazyConnect }), options)
    case 'sentinel':
      return ioredisPort(
        new Redis({ ...common, ...sentinels(url), db: url.db, lazyConnect }),
        options,
      )
    case 'cluster':
      return ioredisPort(
        new Cluster([...url.addresses], {
          lazyConnect,
          redisOptions: common,
          // By default a name becomes an address, which no certificate is for.
          dnsLookup: (address, callback) => callback(null, address),
        }),
        options,
      )
    default:
      return url.topology satisfies never
  }
}

function access({ username, password, family }: ParsedRedisUrl): RedisOptions {
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(family === undefined ? {} : { family }),
  }
}

function where({ path, addresses: [address] }: ParsedRedisUrl): RedisOptions {
  return path === undefined ? { ...address } : { path }
}

function sentinels(url: ParsedRedisUrl): RedisOptions {
  const { addresses, primaryName, sentinelUsername, sentinelPassword, tls } = url
  return {
    sentinels: [...addresses],
    ...(primaryName === undefined ? {} : { name: primaryName }),
    ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    enableTLSForSentinelMode: tls,
  }
}

async function secured(url: ParsedRedisUrl, tls: TlsOptions): Promise<RedisOptions> {
  if (!url.tls) return {}
  const own = {
    ...(await pem('ca', url.ca, tls.ca)),
    ...(await pem('cert', url.cert, tls.cert)),
    ...(await pem('key', url.key, tls.key)),
    // A name is checked against the certificate; an address cannot be asked for by name.
    servername: tls.serverName ?? url.serverName,
  }
  return url.topology === 'sentinel' ? { tls: own, sentinelTLS: own } : { tls: own }
}

async function pem(
  name: 'ca' | 'cert' | 'key',
  file: string | undefined,
  given: string | Uint8Array | undefined,
): Promise<{ ca?: Buffer; cert?: Buffer; key?: Buffer }> {
  if (given !== undefined) return { [name]: Buffer.from(given) }
  if (file === undefined) return {}
  try {
    return { [name]: await readFile(file) }
  } catch (cause) {
    const { code = 'it is no file' } = cause as NodeJS.ErrnoException
    const problem = `The file that the Redis URL names as "${name}" cannot be read (${code})`
    throw new TypeError(problem, { cause })
  }
}
