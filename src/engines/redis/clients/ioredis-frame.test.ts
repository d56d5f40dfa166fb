import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { describe, expect, it } from 'vitest'
import { framedSender } from './ioredis-frame.ts'

const ARGUMENTS = ['', 'plain', 'zweïtaktig €𝄞', 'a\r\nb\0', 0, 1_796_000_000_000_000, 2 ** 53 - 1]

interface Command {
  readonly name: string
  readonly args: readonly (string | number)[]
  toWritable(): string
}

/** A client that is never connected, and what it would write. */
function listening(Client: typeof Redis | typeof Redis5) {
  const seen: Command[] = []
  const sendCommand = async (command: Command) => {
    seen.push(command)
    return 'sent'
  }
  const client = Object.assign(Reflect.construct(Client, [{ lazyConnect: true }]), { sendCommand })
  return { client: client as Parameters<typeof framedSender>[0], seen }
}

describe.each([
  ['ioredis', Redis],
  ['ioredis5', Redis5],
] as const)('a framed command of %s', (_, Client) => {
  it('is written as the client itself writes it', async () => {
    const { client, seen } = listening(Client)
    expect(await client.call('evalsha', ARGUMENTS)).toBe('sent')
    expect(await framedSender(client)('evalsha', ARGUMENTS)).toBe('sent')
    expect(await framedSender(listening(Client).client)('eval', ['return 1', 0])).toBe('sent')
    expect(seen).toHaveLength(2)
    const [wanted, written] = seen
    expect(written?.toWritable()).toBe(wanted?.toWritable())
    expect(written).toMatchObject({ name: 'evalsha', args: ARGUMENTS, replyEncoding: 'utf8' })
  })
})

describe('a framed command', () => {
  it('goes by call where the client shows no command class', async () => {
    const calls: unknown[] = []
    const client = {
      call: async (...asked: unknown[]) => {
        calls.push(asked)
        return 'called'
      },
    }
    expect(await framedSender(client)('evalsha', ARGUMENTS)).toBe('called')
    expect(calls.at(-1)).toEqual(['evalsha', ARGUMENTS])
  })
})
