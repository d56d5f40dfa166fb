import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { serverFindings } from './diagnosis-server.ts'
import { readInfo } from './info.ts'

describe('the version of a server', () => {
  it.each([
    ['redis_version:7.0.15', []],
    ['redis_version:8.4.0', []],
    ['redis_version:6.2.14', ['server-version']],
    ['redis_version:5.0.0', ['server-version']],
    ['redis_version:7.2.4\r\nvalkey_version:8.1.0', []],
    ['redis_version:7.2.4\r\nvalkey_version:7.2.9', ['server-version']],
    ['', []],
  ])('is judged: %j', (info, codes) => {
    const findings = serverFindings(readInfo(`# Server\r\n${info}\r\n`), 'single')
    expect(findings.map(({ code }) => code)).toEqual(codes)
  })
})

describe('permissions.lua', () => {
  it('tries every command that a script calls', () => {
    const folder = new URL('lua/', import.meta.url)
    const commandsOf = (file: string): string[] => {
      const source = readFileSync(new URL(file, folder), 'utf8')
      return [...source.matchAll(/redis\.p?call\(\s*'([A-Za-z]+)'/g)].map(([, name]) =>
        String(name),
      )
    }
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    const called = new Set(files.filter((file) => file.endsWith('.lua')).flatMap(commandsOf))
    const source = readFileSync(new URL('permissions.lua', folder), 'utf8')
    const tried = [...source.matchAll(/\btry\('([A-Z]+)'/g)].map(([, name]) => String(name))
    expect(new Set(tried)).toEqual(called)
  })
})
