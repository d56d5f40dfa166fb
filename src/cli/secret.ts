/** The URL as it may be shown: without its passwords, query and fragment. */
export function shownUrl(url: string): string {
  // The rest of it is a path as it stands, and holds no secret.
  if (/^sqlite:/i.test(url)) return url
  const masked = (text: string): string => withoutPasswords(text, url)
  // Several addresses in one: the parser would take them for a path.
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) {
    return /^[a-z][a-z0-9+.-]*:[a-z]/i.test(url)
      ? masked(url.replace(/[?#].*/s, ''))
      : 'the given URL'
  }
  try {
    const { protocol, username, password, host, pathname } = new URL(url)
    const user = password === '' ? username : `${username}:***`
    return masked(`${protocol}//${user === '' ? '' : `${user}@`}${host}${pathname}`)
  } catch {
    return 'the given URL'
  }
}

/** Whether a URL carries something that must not be shown. */
export function hasSecret(url: string): boolean {
  return passwordsIn(url).length > 0
}

/** `text` without the URL and the passwords in it, in case a message repeats them. */
export function withoutSecrets(text: string, url: string): string {
  if (url === '') return text
  return withoutPasswords(text.replaceAll(url, shownUrl(url)), url)
}

function withoutPasswords(text: string, url: string): string {
  return passwordsIn(url).reduce((shown, password) => shown.replaceAll(password, '***'), text)
}

/** Every password in a URL or in a list of them, as it stands there and decoded, longest first. */
function passwordsIn(url: string): string[] {
  // Read as text, since an unreadable URL holds a password just as well.
  const found = url
    .split(/,(?=[a-z][a-z0-9+.-]*:\/\/)/i)
    .flatMap((part) => [
      /:\/\/[^/?#]*?:(.*)@/s.exec(part)?.[1] ?? '',
      ...[...part.matchAll(/[?&](?:\w*password|auth|token)=([^&#]*)/gi)].map(([, one = '']) => one),
    ])
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
