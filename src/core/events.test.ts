import { describe, expect, it } from 'vitest'
import { Events } from './events.ts'

const told = (name: string) => ({ name, error: undefined })

describe('events', () => {
  it('reach every listener of that event, in order, until it is removed', () => {
    const events = new Events()
    const heard: string[] = []
    const stop = events.on('error', ({ name }) => heard.push(`first ${name}`))
    events.on('error', ({ name }) => heard.push(`second ${name}`))
    events.on('waiting', () => heard.push('another event'))
    events.emit('error', told('a'))
    stop()
    stop()
    events.emit('error', told('b'))
    expect(heard).toEqual(['first a', 'second a', 'second b'])
  })

  it('that nobody listens to are no trouble', () => {
    expect(() => new Events().emit('error', told('a'))).not.toThrow()
  })

  it('call a listener as often as it was added', () => {
    const events = new Events()
    let calls = 0
    const listener = () => {
      calls += 1
    }
    const stop = events.on('error', listener)
    events.on('error', listener)
    events.emit('error', told('a'))
    stop()
    events.emit('error', told('b'))
    expect(calls).toBe(3)
  })

  it('tell of a listener that threw, and go on', () => {
    const events = new Events()
    const heard: unknown[] = []
    const mine = new Error('mine')
    events.on('secured', () => {
      throw mine
    })
    events.on('secured', () => heard.push('after'))
    events.on('error', ({ error, name }) => heard.push(error, name))
    events.emit('secured', { lease: undefined as never })
    expect(heard).toEqual([mine, undefined, 'after'])
  })

  it('do not go in circles when a listener of errors throws', () => {
    const events = new Events()
    let calls = 0
    events.on('error', () => {
      calls += 1
      throw new Error('again')
    })
    events.emit('error', told('a'))
    expect(calls).toBe(1)
  })
})
