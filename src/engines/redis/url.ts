import { isIP } from 'node:net'
import { parseParameters, type UrlParameters } from './url-parameters.ts'

/** Where a server can be asked. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** What a Redis URL says. */
export interface ParsedRedisUrl extends Omit<UrlParameters, 'db' | 'serverName'> {
  readonly topology: 'single' | 'sentinel' | 'cluster'
  readonly tls: boolean
  /** The server; the Sentinels; the nodes of a Cluster with which to begin. At least one. */
  readonly addresses: readonly Address[]
  /** What the Sentinels call the primary; `undefined` without Sentinels. */
  readonly primaryName: string | undefined
  /** The name every certificate is checked against; empty for the address that is connected to. */
  readonly serverName: string
  /** Path of a Unix socket, which replaces the addresses. */
  readonly path: string | undefined
  readonly username: string | undefined
  readonly password: string | undefined
  readonly db: number
}

interface Scheme {
  readonly tls: boolean
  readonly topology: ParsedRedisUrl['topology']
}

const NETWORK_SCHEMES: ReadonlyMap<string, Scheme> = new Map(
  ['redis', 'valkey', 'rediss', 'valkeys'].flatMap((name): [string, Scheme][] => {
    const tls = name === 'rediss' || name === 'valkeys'
    return [
      [name, { tls, topology: 'single' }],
      [`${name}+sentinel`, { tls, topology: 'sentinel' }],
      [`${name}+cluster`, { tls, topology: 'cluster' }],
    ]
  }),
)
const SOCKET_SCHEMES = new Set(['unix', 'redis+unix', 'valkey+unix'])
const DEFAULT_PORT = 6379
const SENTINEL_PORT = 26_379

/** Authority, path and query; everything a password may hide in is checked before it is shown. */
const NETWORK_URL = /^([a-z+]+):\/\/(?:([^@/?#]*)@)?([^@/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/i
const SOCKET_URL = /^([a-z+]+):\/\/(?:([^@/?#]*)@)?(\/[^?#]+)(?:\?([^#]*))?$/i
const HOST = /^(\[[^\]]*]|[^:]*)(?::(.*))?$/

/**
 * Reads `redis[s]://`, `valkey[s]://` with `[user[:password]@]host[:port][/db]`; the same with
 * `+sentinel`, for Sentinels, and `host[:port],host[:port].../name[/db]`; with `+cluster` and one or
 * more nodes; and `unix://`, `redis+unix://` with `[user[:password]@]/path[?db=n]`. Throws a
 * TypeError that never shows any part of the URL but its scheme, since a badly written password may
 * stand anywhere in it.
 */
export function parseRedisUrl(text: string): ParsedRedisUrl {
  if (typeof text !== 'string') throw new TypeError(`A Redis URL is a string, not ${typeof text}`)
  const name = schemeOf(text)
  if (SOCKET_SCHEMES.has(name)) return parseSocketUrl(text)
  const scheme = NETWORK_SCHEMES.get(name)
  if (scheme === undefined) {
    const known = [...NETWORK_SCHEMES.keys(), ...SOCKET_SCHEMES].join(', ')
    throw new TypeError(`A Redis URL begins with one of ${known} and "://"`)
  }
  const match = NETWORK_URL.exec(text)
  if (!match) {
    throw bad(text, 'cannot be read. Percent-encode the characters / ? # @ in user and password')
  }
  const [, , user, hosts = '', path = '', query = ''] = match
  const { db, serverName, ...parameters } = parametersOf(text, query, scheme.tls)
  const addresses = parseHosts(text, hosts, scheme)
  const [first] = addresses
  const ownName = scheme.topology === 'single' && isIP(first.host) === 0 ? first.host : ''
  return {
    ...scheme,
    addresses,
    serverName: serverName ?? ownName,
    path: undefined,
    ...parseUser(text, user),
    ...parsePath(text, path, scheme, db),
    ...parameters,
  }
}

/** The URL for messages and logs: user and password, if there are any, are not in it. */
export function maskUrl(text: string): string {
  let url: ParsedRedisUrl
  try {
    url = parseRedisUrl(text)
  } catch {
    return `${schemeOf(text) || 'unknown'}://…`
  }
  const scheme = schemeOf(text)
  const user = url.username === undefined && url.password === undefined ? '' : '***@'
  if (url.path !== undefined) {
    return `${scheme}://${user}${url.path}${url.db === 0 ? '' : `?db=${url.db}`}`
  }
  const hosts = url.addresses.map(({ host, port }) =>
    isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`,
  )
  const name = url.primaryName === undefined ? '' : `/${encodeURIComponent(url.primaryName)}`
  return `${scheme}://${user}${hosts.join(',')}${name}${url.db === 0 ? '' : `/${url.db}`}`
}

function parseSocketUrl(text: string): ParsedRedisUrl {
  const match = SOCKET_URL.exec(text)
  if (!match) throw bad(text, 'needs the absolute path of a socket, such as unix:///run/redis.sock')
  const [, , user, path = '', query = ''] = match
  const { db = 0, serverName: _, ...parameters } = parametersOf(text, query, false)
  return {
    topology: 'single',
    tls: false,
    addresses: [{ host: 'localhost', port: DEFAULT_PORT }],
    primaryName: undefined,
    serverName: '',
    path: decode(text, path),
    ...parseUser(text, user),
    db,
    ...parameters,
  }
}

function parseUser(
  text: string,
  user: string | undefined,
): { username: string | undefined; password: string | undefined } {
  const [name = '', ...rest] = (user ?? '').split(':')
  const password = rest.join(':')
  return {
    username: name === '' ? undefined : decode(text, name),
    password: password === '' ? undefined : decode(text, password),
  }
}

function parseHosts(text: string, hosts: string, { topology }: Scheme): [Address, ...Address[]] {
  const [first = '', ...rest] = hosts.split(',')
  if (rest.length > 0 && topology === 'single') {
    throw bad(text, 'names several hosts. Use redis+sentinel:// or redis+cluster:// for that')
  }
  const defaultPort = topology === 'sentinel' ? SENTINEL_PORT : DEFAULT_PORT
  const parse = (each: string): Address => parseAddress(text, each, defaultPort)
  return [parse(first), ...rest.map(parse)]
}

function parseAddress(text: string, address: string, defaultPort: number): Address {
  const match = HOST.exec(address)
  if (!match) throw bad(text, 'has a host that cannot be read')
  const [, host = '', port = ''] = match
  return {
    host: host === '' ? 'localhost' : parseHost(text, host),
    port: port === '' ? defaultPort : parsePort(text, port),
  }
}

function parseHost(text: string, host: string): string {
  if (!host.startsWith('[')) return decode(text, host)
  const address = host.slice(1, -1)
  if (isIP(address) !== 6) throw bad(text, 'has no valid IPv6 address between its brackets')
  return address
}

function parsePort(text: string, port: string): number {
  const value = Number(port)
  if (!/^\d+$/.test(port) || value < 1 || value > 65_535) {
    throw bad(text, 'has no valid port. Write a number from 1 to 65535 after the host')
  }
  return value
}

function parsePath(
  text: string,
  path: string,
  { topology }: Scheme,
  db = 0,
): { primaryName: string | undefined; db: number } {
  const parts = path.split('/').slice(1)
  const name = topology === 'sentinel' ? decode(text, parts.shift() ?? '') : undefined
  if (name === '') {
    throw bad(text, 'needs the name of the primary after the hosts, such as /mymaster')
  }
  const number = parts.join('/')
  const chosen = number === '' ? db : parseDb(text, number)
  if (topology === 'cluster' && chosen !== 0) throw bad(text, 'names a database; a Cluster has one')
  return { primaryName: name, db: chosen }
}

function parseDb(text: string, db: string): number {
  if (!/^\d{1,9}$/.test(db)) {
    throw bad(text, 'has no valid database. Write its number after the host, such as /0')
  }
  return Number(db)
}

function parametersOf(text: string, query: string, tls: boolean): UrlParameters {
  return parseParameters(query, {
    tls,
    decode: (part) => decode(text, part),
    bad: (problem) => bad(text, problem),
  })
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw bad(text, 'has a % that is not followed by two hex digits. Write %25 for the sign itself')
  }
}

function schemeOf(text: string): string {
  return /^([a-z+]+):\/\//i.exec(text)?.[1]?.toLowerCase() ?? ''
}

function bad(text: string, problem: string): TypeError {
  return new TypeError(`The Redis URL ${schemeOf(text)}://… ${problem}`)
}
