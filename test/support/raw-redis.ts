import { createConnection, type Socket } from 'node:net'
import { encode, type Frame, FrameReader, type Reply, ReplyError } from './resp.ts'

export { type Reply, ReplyError } from './resp.ts'

/** A connection that sends commands exactly as given and never repeats or queues anything. */
export interface RawConnection {
  /** Sends a command and gives its reply; an error of the server is thrown as `ReplyError`. */
  call(...args: (string | number)[]): Promise<Reply>
  /** Calls `onMessage` for each message; afterwards this connection serves only subscriptions. */
  subscribe(channel: string, onMessage: (message: string) => void): Promise<void>
  close(): void
}

interface Waiting {
  resolve: (reply: Reply) => void
  reject: (error: Error) => void
}

/** Opens a connection that looks at a server without the help of any client library. */
export async function connect(port: number, host = '127.0.0.1'): Promise<RawConnection> {
  const socket = createConnection({ port, host, noDelay: true })
  const waiting: Waiting[] = []
  const listeners = new Map<string, (message: string) => void>()
  read(socket, waiting, listeners)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })

  const call = (...args: (string | number)[]): Promise<Reply> =>
    new Promise((resolve, reject) => {
      if (socket.destroyed) {
        reject(new Error(`the connection to port ${port} is closed`))
        return
      }
      waiting.push({ resolve, reject })
      socket.write(encode(args))
    })
  return {
    call,
    async subscribe(channel, onMessage) {
      listeners.set(channel, onMessage)
      await call('subscribe', channel)
    },
    close: () => socket.destroy(),
  }
}

function read(
  socket: Socket,
  waiting: Waiting[],
  listeners: Map<string, (message: string) => void>,
): void {
  const reader = new FrameReader()
  let failure: Error | undefined
  socket.on('data', (chunk: Buffer) => {
    for (const frame of reader.push(chunk)) {
      if (!deliver(frame, listeners)) settle(frame.value, waiting.shift())
    }
  })
  socket.on('error', (error) => {
    failure = error
  })
  socket.on('close', () => {
    const error = new Error('the connection was closed before the reply', { cause: failure })
    for (const one of waiting.splice(0)) one.reject(error)
  })
}

function deliver({ value }: Frame, listeners: Map<string, (message: string) => void>): boolean {
  if (!Array.isArray(value) || value[0] !== 'message' || listeners.size === 0) return false
  listeners.get(String(value[1]))?.(String(value[2]))
  return true
}

function settle(value: Reply, waiting: Waiting | undefined): void {
  if (value instanceof ReplyError) waiting?.reject(value)
  else waiting?.resolve(value)
}
