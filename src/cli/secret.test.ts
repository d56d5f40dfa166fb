import { describe, expect, it } from 'vitest'
import { hasSecret, isMasked, maskedUrl, shownUrl, withoutSecrets } from './secret.ts'

describe('secrets', () => {
  it('are not in a URL that is shown', () => {
    expect(shownUrl('redis://me:s3cret@host:1234/2?password=s3cret#s3cret')).toBe(
      'redis://me:***@host:1234/2',
    )
    expect(shownUrl('redis://:s3cret@host')).toBe('redis://:***@host')
    expect(shownUrl('redis://host:6379')).toBe('redis://host:6379')
    expect(shownUrl('sqlite:./a b?#.db')).toBe('sqlite:./a b?#.db')
    expect(shownUrl('redis//me:s3cret@host:port')).not.toContain('s3cret')
  })

  it('are taken out of messages, as written and as meant', () => {
    const url = 'redis://me:p%40ss@host'
    expect(withoutSecrets(`cannot use ${url}: p@ss, p%40ss`, url)).toBe(
      'cannot use redis://me:***@host: ***, ***',
    )
    expect(withoutSecrets('bad redis://me:s3cret@host:port', 'redis://me:s3cret@host:port')).toBe(
      'bad the given URL',
    )
    expect(withoutSecrets('p%zz is wrong', 'redis://me:p%zz@host')).toBe('*** is wrong')
    expect(withoutSecrets('nothing to hide', '')).toBe('nothing to hide')
  })

  it('are found in every address of a list', () => {
    const url = 'quorum:redis://me:one@a:1,redis://me:t%2Co@b:2,redis://c:3'
    expect(hasSecret(url)).toBe(true)
    expect(shownUrl(url)).toBe('quorum:redis://me:***@a:1,redis://me:***@b:2,redis://c:3')
    expect(withoutSecrets(`b:2 refuses t,o of ${url}`, url)).toBe(
      `b:2 refuses *** of ${shownUrl(url)}`,
    )
  })

  it('of one or two letters leave words as they are', () => {
    const url = 'redis://me:a@a.host/1'
    expect(shownUrl(url)).toBe('redis://me:***@a.host/1')
    expect(withoutSecrets(`cannot reach ${url} at all: "a" and :a@b and password=a`, url)).toBe(
      'cannot reach redis://me:***@a.host/1 at all: "***" and :***@b and password=***',
    )
    expect(shownUrl('redis://me:redis@host')).toBe('redis://me:***@host')
  })

  it('are masked where they stand, and all else is handed on', () => {
    const url = 'redis+sentinel://me:x@a:1,b:2/main?sentinelPassword=s3cret&db=2#f'
    const masked = 'redis+sentinel://me:***@a:1,b:2/main?sentinelPassword=***&db=2#f'
    expect(maskedUrl(url)).toBe(masked)
    expect([url, masked].map(isMasked)).toEqual([false, true])
    const query = 'redis+sentinel://a:1/main?db=2&sentinelPassword=s3cret'
    expect(isMasked(maskedUrl(query))).toBe(true)
    const list = 'quorum:redis://me:one@a:1,redis://me:two@b:2,redis://c:3?family=6'
    expect(maskedUrl(list)).toBe(
      'quorum:redis://me:***@a:1,redis://me:***@b:2,redis://c:3?family=6',
    )
    expect(maskedUrl('sqlite:./a:b@c?token=d')).toBe('sqlite:./a:b@c?token=d')
  })

  it('are not seen where there are none', () => {
    for (const url of ['redis://host', 'redis://me@host', 'redis://u:***@host', 'sqlite:./a:b@c']) {
      expect(hasSecret(url)).toBe(false)
    }
  })
})
