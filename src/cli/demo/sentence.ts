import type { DemoEvent } from './journal.ts'

export type Tone = 'plain' | 'good' | 'bad'

export interface Sentence {
  readonly tone: Tone
  readonly text: string
}

/**
 * Says what happened, after the name of whom it happened to; `undefined` when it goes without
 * saying. Values of leases are cut to `valueLength` characters.
 */
export function sentence(event: DemoEvent, valueLength: number): Sentence | undefined {
  switch (event.type) {
    case 'tries':
      return plain('tries to acquire the lock')
    case 'waits': {
      const held = event.holder === undefined ? '' : ` (${event.holder} holds the lock)`
      return plain(`waits in line, ${placeInLine(event.ahead)}${held}`)
    }
    case 'acquires':
      return good(`acquires the lock: value ${cut(event.value, valueLength)}, fence ${event.fence}`)
    case 'succeeds':
      return good(
        `gets in ${seconds(event.afterMs)} after ${event.dead} died, when the dead one's lease ended`,
      )
    case 'executes':
      return plain('executes the task')
    case 'completes':
      return plain('completes the task')
    case 'releases':
      return plain('releases the lock')
    case 'released':
      return event.confirmed ? undefined : bad('finds that its lease had ended before the release')
    case 'refused': {
      const by = event.holder === undefined ? '' : `, ${event.holder}`
      return bad(`fails to acquire: the lock is held by another process${by}; gives up`)
    }
    case 'writes':
      return writeSentence(event)
    default:
      return misfortune(event)
  }
}

function misfortune(event: DemoEvent & { type: 'killed' | 'loses' | 'fails' }): Sentence {
  switch (event.type) {
    case 'killed':
      return bad(
        event.planned
          ? `is killed (${event.signal}) in the middle of the task; its write is still on the way`
          : `ended unexpectedly (${event.signal})`,
      )
    case 'loses':
      return bad(`loses the lock: ${event.message}`)
    case 'fails':
      return bad(`fails: ${event.message}`)
    default:
      return event satisfies never
  }
}

function writeSentence(event: DemoEvent & { type: 'writes' }): Sentence {
  const whose = event.late ? `the late write of ${event.process}` : `the write of ${event.process}`
  return event.accepted
    ? good(`accepts ${whose}: fence ${event.fence}`)
    : bad(`refuses ${whose}: fence ${event.fence} is smaller than ${event.largest}, seen before`)
}

export function placeInLine(ahead: number): string {
  return ahead === 0 ? 'next' : `${ahead} ahead`
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}

function cut(value: string, length: number): string {
  return value.length > length ? `${value.slice(0, length - 1)}…` : value
}

function plain(text: string): Sentence {
  return { tone: 'plain', text }
}

function good(text: string): Sentence {
  return { tone: 'good', text }
}

function bad(text: string): Sentence {
  return { tone: 'bad', text }
}
