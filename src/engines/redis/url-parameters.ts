/** What stands behind the question mark of a Redis URL; what is absent there is `undefined`. */
export interface UrlParameters {
  readonly db: number | undefined
  /** IP version to use: 4, 6, or 0 for either. */
  readonly family: 0 | 4 | 6 | undefined
  /** How many replicas must have a lease. */
  readonly replicas: number | undefined
  readonly replicasTimeoutMs: number | undefined
  /** Files with certificates and the key, in PEM. */
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  /** The name that certificates are checked against, where it is not the host's. */
  readonly serverName: string | undefined
  /** User and password at the Sentinels, where they have their own. */
  readonly sentinelUsername: string | undefined
  readonly sentinelPassword: string | undefined
}

type Reader = (value: string) => UrlParameters[keyof UrlParameters]

const text: Reader = (value) => (value === '' ? undefined : value)
const whole: Reader = (value) => (/^\d{1,9}$/.test(value) ? Number(value) : undefined)

/** How each parameter is read, and what it must be. */
const READERS: Record<keyof UrlParameters, readonly [Reader, string]> = {
  db: [whole, 'a number, such as db=0'],
  family: [
    (value) => (/^[046]$/.test(value) ? (Number(value) as 0 | 4 | 6) : undefined),
    '0, 4, 6',
  ],
  replicas: [whole, 'a number of replicas, such as replicas=1'],
  replicasTimeoutMs: [whole, 'a number of milliseconds'],
  ca: [text, 'the path of a file'],
  cert: [text, 'the path of a file'],
  key: [text, 'the path of a file'],
  serverName: [text, 'a host name'],
  sentinelUsername: [text, 'a name'],
  sentinelPassword: [text, 'a password'],
}

/** Those that say how TLS is spoken. */
const OF_TLS = ['ca', 'cert', 'key', 'serverName'] as const

/** How the rest of the URL is read. */
export interface Reading {
  readonly tls: boolean
  /** Undoes percent-encoding. */
  readonly decode: (part: string) => string
  readonly bad: (problem: string) => Error
}

/** Reads the query of a URL; throws what `bad` makes of a problem. */
export function parseParameters(query: string, { tls, decode, bad }: Reading): UrlParameters {
  const found: Partial<Record<keyof UrlParameters, unknown>> = {}
  for (const pair of query.split('&')) {
    if (pair === '') continue
    // Not as forms have it: a + stands for itself, as in the rest of the URL.
    const [name = '', ...rest] = pair.split('=').map(decode)
    const value = rest.join('=')
    if (!Object.hasOwn(READERS, name)) {
      const known = Object.keys(READERS).join(', ')
      throw bad(`has a parameter that is not known. Known are ${known}`)
    }
    const key = name as keyof UrlParameters
    const [read, wanted] = READERS[key]
    found[key] = read(value)
    if (found[key] === undefined) throw bad(`has a wrong ${key}. It must be ${wanted}`)
  }
  const vain = OF_TLS.find((name) => !tls && found[name] !== undefined)
  if (vain !== undefined) throw bad(`has ${vain}, which only rediss:// and valkeys:// know`)
  const none = Object.fromEntries(Object.keys(READERS).map((name) => [name, undefined]))
  return { ...none, ...found } as unknown as UrlParameters
}
