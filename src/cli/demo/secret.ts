/** The URL as it may be shown: without its password, query and fragment. */
export function shownUrl(url: string): string {
  // The rest of it is a path as it stands, and holds no secret.
  if (/^sqlite:/i.test(url)) return url
  try {
    const { protocol, username, password, host, pathname } = new URL(url)
    const user = password === '' ? username : `${username}:***`
    return `${protocol}//${user === '' ? '' : `${user}@`}${host}${pathname}`
  } catch {
    return 'the given URL'
  }
}

/** `text` without the URL and the password in it, in case a message repeats them. */
export function withoutSecrets(text: string, url: string): string {
  return secretsOf(url).reduce(
    (shown, [secret, instead]) => shown.replaceAll(secret, instead),
    text,
  )
}

function secretsOf(url: string): [secret: string, instead: string][] {
  if (url === '') return []
  // Read as text, since an unreadable URL holds a password just as well.
  const raw = /^[^:]*:\/\/[^/?#]*?:(.*)@/.exec(url)?.[1] ?? ''
  const passwords = new Set([raw, decoded(raw)].filter((password) => password !== ''))
  return [[url, shownUrl(url)], ...[...passwords].map((one): [string, string] => [one, '***'])]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
