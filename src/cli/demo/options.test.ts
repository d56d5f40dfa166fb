import { describe, expect, it } from 'vitest'
import { readOptions } from './options.ts'

describe('readOptions', () => {
  it('has a default for everything', () => {
    expect(readOptions([], {})).toEqual({
      scene: 'line',
      processes: 5,
      taskMs: 1200,
      url: undefined,
      redis: false,
      json: false,
    })
  })

  it('reads every option', () => {
    const args = ['--crash', '--processes=3', '--task-ms', '50', '--url', 'redis://a', '--json']
    expect(readOptions(args, { HOLDFAST_URL: 'redis://b' })).toEqual({
      scene: 'crash',
      processes: 3,
      taskMs: 50,
      url: 'redis://a',
      redis: false,
      json: true,
    })
    expect(readOptions(['--try'], {})).toMatchObject({ scene: 'try' })
  })

  it('takes the URL from the environment, unless that is empty', () => {
    expect(readOptions([], { HOLDFAST_URL: 'redis://b' })).toMatchObject({ url: 'redis://b' })
    expect(readOptions([], { HOLDFAST_URL: '' })).toMatchObject({ url: undefined })
  })

  it('looks for a server when told to, whatever the environment says', () => {
    const options = readOptions(['--redis'], { HOLDFAST_URL: 'redis://b' })
    expect(options).toMatchObject({ redis: true, url: undefined })
  })

  it.each([
    [['--redis', '--url', 'redis://a']],
    [['--processes', '51']],
    [['--processes', '1.5']],
    [['--processes', '']],
    [['--processes=-1']],
    [['--task-ms', '0']],
    [['--task-ms', '1e3']],
    [['--task-ms', '99999999999']],
    [['--task-ms=soon']],
    [['--try', '--crash']],
    [['--crash', '--processes', '1']],
    [['--url', 'memory:']],
    [['--task-ms', '-5']],
    [['--url']],
  ])('refuses %j with code 64', (args) => {
    expect(() => readOptions(args, {})).toThrow(expect.objectContaining({ exitCode: 64 }))
  })
})
