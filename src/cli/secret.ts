/** The URL as it may be shown: without its password, query and fragment. */
export function shownUrl(url: string): string {
  if (/^sqlite:/i.test(url)) return url
  try {
    const { protocol, username, password, host, pathname } = new URL(url)
    const user = password === '' ? username : `${username}:***`
    return `${protocol}//${user === '' ? '' : `${user}@`}${host}${pathname}`
  } catch {
    return 'the given URL'
  }
}

/** Whether a URL carries something that must not be shown. */
export function hasSecret(url: string): boolean {
  return secretsIn(url).length > 0
}

/** `text` without the URL and the password in it, in case a message repeats them. */
export function withoutSecrets(text: string, url: string): string {
  const secrets = secretsIn(url)
  if (secrets.length === 0) return text
  return secrets.reduce(
    (shown, secret) => shown.replaceAll(secret, '***'),
    text.replaceAll(url, shownUrl(url)),
  )
}

/** Passwords in a URL, as they stand there and decoded. Every address of a list counts. */
function secretsIn(url: string): string[] {
  // Read as text, since an unreadable URL holds a password just as well.
  const found = [...url.matchAll(/:\/\/[^/?#,]*?:([^,]*?)@(?=[^@,]*(?:[,/?#]|$))/g)].map(
    ([, password = '']) => password,
  )
  const queries = [...url.matchAll(/[?&](?:password|pass|auth|token)=([^&#,]*)/gi)].map(
    ([, password = '']) => password,
  )
  const all = [...found, ...queries]
  return [...new Set([...all, ...all.map(decoded)])]
    .filter((secret) => secret !== '' && secret !== '***')
    .sort((a, b) => b.length - a.length)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
