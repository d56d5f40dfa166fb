import { createConnection } from 'node:net'

/** What listens at an address, as far as a PING can tell. */
export type Finding =
  | { readonly kind: 'redis'; readonly description: string }
  /** A Redis that wants a password. */
  | { readonly kind: 'locked' }
  | { readonly kind: 'none' }

const ANSWER_MS = 1000

/** Asks for a PONG. Nothing but PING is ever sent to something that is not a Redis. */
export async function probe(host: string, port: number): Promise<Finding> {
  const answer = await converse(host, port, 'PING\r\n', (text) => text.includes('\r\n'))
  if (answer.startsWith('-NOAUTH')) return { kind: 'locked' }
  if (!answer.startsWith('+PONG\r\n')) return { kind: 'none' }
  const request = 'INFO server\r\nPING\r\n'
  const info = await converse(host, port, request, (text) => text.endsWith('+PONG\r\n'))
  return { kind: 'redis', description: describe(info) }
}

/** Whether the server there keeps its data in this folder, as only the one that we started does. */
export async function livesIn(host: string, port: number, folder: string): Promise<boolean> {
  const request = 'CONFIG GET dir\r\nPING\r\n'
  const answer = await converse(host, port, request, (text) => text.endsWith('+PONG\r\n'))
  return answer.includes(folder)
}

function describe(info: string): string {
  const valkey = /^valkey_version:(\S+)/m.exec(info)?.[1]
  if (valkey !== undefined) return `Valkey ${valkey}`
  const redis = /^redis_version:(\S+)/m.exec(info)?.[1]
  return redis === undefined ? 'Redis' : `Redis ${redis}`
}

/** Sends a request and gives what came until `isWhole`; an empty text when nobody is there. */
async function converse(
  host: string,
  port: number,
  request: string,
  isWhole: (text: string) => boolean,
): Promise<string> {
  return await new Promise((resolve) => {
    let text = ''
    const socket = createConnection({ host, port })
    const finish = (): void => {
      socket.destroy()
      resolve(text)
    }
    socket.setTimeout(ANSWER_MS, finish)
    socket.once('connect', () => socket.write(request))
    socket.once('error', finish)
    socket.once('close', finish)
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (isWhole(text) || text.length > 100_000) finish()
    })
  })
}
