import { isIP } from 'node:net'

/** What a Redis URL says. */
export interface ParsedRedisUrl {
  readonly tls: boolean
  readonly host: string
  readonly port: number
  /** The name a certificate is checked against; empty for an address. */
  readonly serverName: string
  /** Path of a Unix socket, which replaces host and port. */
  readonly path: string | undefined
  readonly username: string | undefined
  readonly password: string | undefined
  readonly db: number
  /** IP version to use: 4, 6, or 0 for either. */
  readonly family: 0 | 4 | 6 | undefined
}

const NETWORK_SCHEMES: ReadonlyMap<string, { tls: boolean }> = new Map([
  ['redis', { tls: false }],
  ['valkey', { tls: false }],
  ['rediss', { tls: true }],
  ['valkeys', { tls: true }],
])
const SOCKET_SCHEMES = new Set(['unix', 'redis+unix', 'valkey+unix'])
const DEFAULT_PORT = 6379

/** Authority, path and query; everything a password may hide in is checked before it is shown. */
const NETWORK_URL =
  /^([a-z+]+):\/\/(?:([^@/?#]*)@)?(\[[^\]@]*]|[^:@/?#]*)(?::([^@/?#]*))?(\/[^?#]*)?(?:\?([^#]*))?$/i
const SOCKET_URL = /^([a-z+]+):\/\/(?:([^@/?#]*)@)?(\/[^?#]+)(?:\?([^#]*))?$/i

/**
 * Reads `redis[s]://`, `valkey[s]://` with `[user[:password]@]host[:port][/db]`, and `unix://`,
 * `redis+unix://` with `[user[:password]@]/path[?db=n]`. Throws a TypeError that never shows any
 * part of the URL but its scheme, since a badly written password may stand anywhere in it.
 */
export function parseRedisUrl(text: string): ParsedRedisUrl {
  if (typeof text !== 'string') throw new TypeError(`A Redis URL is a string, not ${typeof text}`)
  const scheme = schemeOf(text)
  if (SOCKET_SCHEMES.has(scheme)) return parseSocketUrl(text)
  const { tls } = NETWORK_SCHEMES.get(scheme) ?? {}
  if (tls === undefined) {
    const known = [...NETWORK_SCHEMES.keys(), ...SOCKET_SCHEMES].join(', ')
    throw new TypeError(`A Redis URL begins with one of ${known} and "://"`)
  }
  const match = NETWORK_URL.exec(text)
  if (!match) {
    throw bad(text, 'cannot be read. Percent-encode the characters / ? # @ in user and password')
  }
  const [, , user, hostText = '', portText, path, query] = match
  const host = hostText === '' ? 'localhost' : parseHost(text, hostText)
  const { db, family } = parseQuery(text, query)
  return {
    tls,
    host,
    port: portText === undefined || portText === '' ? DEFAULT_PORT : parsePort(text, portText),
    serverName: isIP(host) === 0 ? host : '',
    path: undefined,
    ...parseUser(text, user),
    db: path === undefined || path === '/' ? (db ?? 0) : parseDb(text, path.slice(1)),
    family,
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
  const host = isIP(url.host) === 6 ? `[${url.host}]` : url.host
  return `${scheme}://${user}${host}:${url.port}${url.db === 0 ? '' : `/${url.db}`}`
}

function parseSocketUrl(text: string): ParsedRedisUrl {
  const match = SOCKET_URL.exec(text)
  if (!match) throw bad(text, 'needs the absolute path of a socket, such as unix:///run/redis.sock')
  const [, , user, path = '', query] = match
  return {
    tls: false,
    host: 'localhost',
    port: DEFAULT_PORT,
    serverName: '',
    path: decode(text, path),
    ...parseUser(text, user),
    db: parseQuery(text, query).db ?? 0,
    family: undefined,
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

function parseDb(text: string, db: string): number {
  if (!/^\d{1,9}$/.test(db)) {
    throw bad(text, 'has no valid database. Write its number after the host, such as /0')
  }
  return Number(db)
}

function parseQuery(
  text: string,
  query: string | undefined,
): { db: number | undefined; family: 0 | 4 | 6 | undefined } {
  let db: number | undefined
  let family: 0 | 4 | 6 | undefined
  for (const [name, value] of new URLSearchParams(query ?? '')) {
    if (name === 'db') {
      db = parseDb(text, value)
    } else if (name === 'family' && /^[046]$/.test(value)) {
      family = Number(value) as 0 | 4 | 6
    } else {
      throw bad(text, 'has a parameter that is not known. Known are db=<number> and family=0|4|6')
    }
  }
  return { db, family }
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
