/** The URL as it may be shown: without its passwords, query and fragment. */
export function shownUrl(url: string): string {
  // The rest of it is a path as it stands, and holds no secret.
  if (/^sqlite:/i.test(url)) return url
  const masked = maskedUrl(url)
  // Several addresses in one: the parser would take them for a path.
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) {
    return /^[a-z][a-z0-9+.-]*:[a-z]/i.test(url) ? masked.replace(/[?#].*/s, '') : 'the given URL'
  }
  try {
    const { protocol, username, password, host, pathname } = new URL(masked)
    const user = password === '' ? username : `${username}:***`
    return `${protocol}//${user === '' ? '' : `${user}@`}${host}${pathname}`
  } catch {
    return 'the given URL'
  }
}

const IN_FRONT = /(:\/\/[^/?#]*?:)(.*)(?=@)/s
const IN_QUERY = /([?&](?:\w*password|auth|token)=)([^&#]*)/gi

/** The URL with *** for each password in it, and all else as it is. */
export function maskedUrl(url: string): string {
  if (/^sqlite:/i.test(url)) return url
  const addresses = url.split(BETWEEN)
  return addresses.map((one) => one.replace(IN_FRONT, '$1***').replace(IN_QUERY, '$1***')).join(',')
}

/** Whether a URL has *** where a password was. */
export function isMasked(url: string): boolean {
  return !/^sqlite:/i.test(url) && secretsIn(url).includes('***')
}

/** Whether a URL carries something that must not be shown. */
export function hasSecret(url: string): boolean {
  return passwordsIn(url).length > 0
}

/** `text` without the URL and the passwords in it, in case a message repeats them. */
export function withoutSecrets(text: string, url: string): string {
  if (url === '') return text
  // What is shown of the URL must not be searched: a password may be a part of anything.
  const pieces = text.split(url).map((piece) => withoutPasswords(piece, url))
  return pieces.join(shownUrl(url))
}

function withoutPasswords(text: string, url: string): string {
  return passwordsIn(url).reduce((shown, password) => {
    if (password.length >= LEAST_LENGTH) return shown.replaceAll(password, '***')
    // So short a one is a part of most words: only where a URL or quotes set it apart.
    const exact = password.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    return shown.replace(new RegExp(`(?<=[:='"])${exact}(?=[@&'"]|$)`, 'g'), '***')
  }, text)
}

/** Shorter passwords are looked for with what stands around them. */
const LEAST_LENGTH = 3

const BETWEEN = /,(?=[a-z][a-z0-9+.-]*:\/\/)/i

function secretsIn(url: string): string[] {
  // Read as text, since an unreadable URL holds a password just as well.
  return url
    .split(BETWEEN)
    .flatMap((one) => [
      IN_FRONT.exec(one)?.[2] ?? '',
      ...[...one.matchAll(IN_QUERY)].map(([, , secret = '']) => secret),
    ])
}

/** Every password in a URL or in a list of them, as it stands there and decoded, longest first. */
function passwordsIn(url: string): string[] {
  const found = secretsIn(url)
  return [...new Set([...found, ...found.map(decoded)])]
    .filter((password) => password !== '' && password !== '***')
    .sort((a, b) => b.length - a.length)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
