import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { Lane } from './lane.ts'
import { type Frame, FrameReader, type Reply } from './resp.ts'
import { freePort } from './servers.ts'
import { randomFrom } from './until.ts'

/** A command on its way to the server; for a pub/sub message, its kind and channel. */
export interface ProxiedRequest {
  args: string[]
  raw: Buffer
}

/** Which requests a fault is for: those that contain a text in any case, or those that pass. */
export type Match = string | ((request: ProxiedRequest) => boolean)

export type Side = 'requests' | 'replies' | 'both'

export interface DropOptions {
  /** Between 0 and 1; every message unless told otherwise. */
  probability?: number
  seed?: number
  match?: (channel: string, message: string) => boolean
}

export interface Counters {
  connections: number
  open: number
  requests: number
  replies: number
  messages: number
  droppedMessages: number
  cuts: number
  /** Requests per command, in lower case. */
  commands: Map<string, number>
}

/** A network between clients and one server, perfect until told otherwise. */
export interface Proxy {
  readonly url: string
  readonly host: string
  readonly port: number
  readonly counters: Readonly<Counters>
  delay(options: { requestMs?: number; replyMs?: number; match?: Match }): void
  throttle(options: { bytesPerSecond: number }): void
  /**
   * Lets nothing through on one side, and closes nothing. From the first match on, all of that
   * connection is stuck, since a stream has no gaps; `heal` decides what becomes of it.
   */
  blackHole(side: Side, match?: Match): void
  /** Cuts the connection at the next match, which the server never sees. */
  cutBeforeServer(match?: Match, times?: number): void
  /** Cuts the connection when the server has answered the next match; that answer is lost. */
  cutAfterServer(match?: Match, times?: number): void
  /** Loses pub/sub messages and nothing else. */
  dropMessages(options?: DropOptions): void
  /** Closes every connection there is now; new ones are let in. */
  dropConnections(): void
  /**
   * Ends one direction of every connection there is now and leaves the other open: `requests` tells
   * the server that no more will come, `replies` tells the client.
   */
  halfClose(side: Exclude<Side, 'both'>): void
  /** Sends new connections to another server; those open stay. */
  retarget(port: number): void
  /** Refuses new connections; those open stay. */
  refuse(): Promise<void>
  accept(): Promise<void>
  /** Takes away every fault except `refuse`. Bytes that were stuck arrive late, or never. */
  heal(options?: { stuck: 'deliver' | 'drop' }): void
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

type Test = (request: ProxiedRequest) => boolean

interface Rules {
  requestMs: number
  replyMs: number
  delayed: Test
  bytesPerSecond: number
  stuckRequests: Test
  stuckReplies: Test
  cutBefore: { test: Test; left: number }
  cutAfter: { test: Test; left: number }
  dropped: (channel: string, message: string) => boolean
}

const never = (): boolean => false

function noFaults(): Rules {
  return {
    requestMs: 0,
    replyMs: 0,
    delayed: never,
    bytesPerSecond: Number.POSITIVE_INFINITY,
    stuckRequests: never,
    stuckReplies: never,
    cutBefore: { test: never, left: 0 },
    cutAfter: { test: never, left: 0 },
    dropped: never,
  }
}

function testFor(match: Match | undefined): Test {
  if (match === undefined) return () => true
  if (typeof match === 'function') return match
  const text = match.toLowerCase()
  return ({ raw }) => raw.toString('latin1').toLowerCase().includes(text)
}

function uses(rule: { test: Test; left: number }, request: ProxiedRequest): boolean {
  if (rule.left === 0 || !rule.test(request)) return false
  rule.left -= 1
  return true
}

export async function startProxy({ targetPort }: { targetPort: number }): Promise<Proxy> {
  for (let attempt = 1; ; attempt += 1) {
    const proxy = new FaultProxy(targetPort, await freePort())
    try {
      await proxy.accept()
      return proxy
    } catch (error) {
      // Between the look and the listening, another process may have taken the port.
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt >= 20) throw error
    }
  }
}

class FaultProxy implements Proxy {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly counters: Counters = {
    connections: 0,
    open: 0,
    requests: 0,
    replies: 0,
    messages: 0,
    droppedMessages: 0,
    cuts: 0,
    commands: new Map(),
  }
  readonly rules: Rules = noFaults()
  readonly #links = new Set<Link>()
  #targetPort: number
  #listener: Server | undefined

  constructor(targetPort: number, port: number) {
    this.#targetPort = targetPort
    this.port = port
  }

  get url(): string {
    return `redis://${this.host}:${this.port}`
  }

  delay({ requestMs = 0, replyMs = 0, match }: Parameters<Proxy['delay']>[0]): void {
    Object.assign(this.rules, { requestMs, replyMs, delayed: testFor(match) })
  }

  throttle({ bytesPerSecond }: { bytesPerSecond: number }): void {
    this.rules.bytesPerSecond = bytesPerSecond
  }

  blackHole(side: Side, match?: Match): void {
    if (side !== 'replies') this.rules.stuckRequests = testFor(match)
    if (side !== 'requests') this.rules.stuckReplies = testFor(match)
  }

  cutBeforeServer(match?: Match, times = 1): void {
    this.rules.cutBefore = { test: testFor(match), left: times }
  }

  cutAfterServer(match?: Match, times = 1): void {
    this.rules.cutAfter = { test: testFor(match), left: times }
  }

  dropMessages({ probability = 1, seed = 1, match = () => true }: DropOptions = {}): void {
    const random = randomFrom(seed)
    this.rules.dropped = (channel, message) => match(channel, message) && random() < probability
  }

  dropConnections(): void {
    for (const link of this.#links) link.destroy()
  }

  halfClose(side: Exclude<Side, 'both'>): void {
    for (const link of this.#links) link.halfClose(side)
  }

  retarget(port: number): void {
    this.#targetPort = port
  }

  async refuse(): Promise<void> {
    this.#listener?.close()
    this.#listener = undefined
  }

  async accept(): Promise<void> {
    if (this.#listener) return
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const link = new Link(client, this.#targetPort, this)
      this.counters.connections += 1
      this.counters.open += 1
      this.#links.add(link)
      link.onClientLeft = () => {
        this.counters.open -= 1
      }
      link.onGone = () => this.#links.delete(link)
    })
    this.#listener = listener
    listener.listen(this.port, this.host)
    await once(listener, 'listening')
  }

  heal({ stuck } = { stuck: 'deliver' as 'deliver' | 'drop' }): void {
    Object.assign(this.rules, noFaults())
    for (const link of this.#links) link.heal(stuck)
  }

  async stop(): Promise<void> {
    await this.refuse()
    this.dropConnections()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

interface Unanswered {
  request: ProxiedRequest
  /** How many replies are still to come: a subscription is confirmed once per channel. */
  replies: number
  cut: boolean
}

const SUBSCRIPTIONS = /^[ps]?(un)?subscribe$/
const MESSAGES = /^[ps]?message$/

/** One client and its connection to the server. */
class Link {
  onClientLeft: () => void = () => {}
  onGone: () => void = () => {}
  readonly #server: Socket
  readonly #proxy: { rules: Rules; counters: Counters }
  readonly #toServer: Lane
  readonly #toClient: Lane
  readonly #requests = new FrameReader()
  readonly #replies = new FrameReader()
  readonly #unanswered: Unanswered[] = []
  #subscribed = false
  /** A replica's connection carries no frames once it is in step. */
  #opaque = false
  #cut = false
  #left = false

  constructor(client: Socket, port: number, proxy: { rules: Rules; counters: Counters }) {
    this.#proxy = proxy
    this.#server = createConnection({
      port,
      host: '127.0.0.1',
      noDelay: true,
    })
    this.#toServer = new Lane(this.#server)
    this.#toClient = new Lane(client)
    client.on('data', (chunk: Buffer) => this.#fromClient(chunk))
    this.#server.on('data', (chunk: Buffer) => this.#fromServer(chunk))
    client.once('end', () => this.#clientLeft())
    client.once('close', () => this.#clientLeft())
    this.#server.once('close', () => this.#toClient.close())
    for (const socket of [client, this.#server]) {
      // The close that follows says all that matters.
      socket.on('error', () => {})
      socket.once('close', () => {
        if (client.destroyed && this.#server.destroyed) this.onGone()
      })
    }
  }

  destroy(): void {
    this.#cut = true
    this.#toServer.stop()
    this.#toClient.stop()
    this.onGone()
  }

  halfClose(side: 'requests' | 'replies'): void {
    if (side === 'requests') this.#toServer.end()
    else this.#toClient.end()
  }

  heal(stuck: 'deliver' | 'drop'): void {
    const isStuck = this.#toServer.held || this.#toClient.held
    if (isStuck && stuck === 'drop') this.destroy()
    this.#toServer.letGo()
    this.#toClient.letGo()
  }

  /** What it has sent is still on its way, and so are the answers if it left only half. */
  #clientLeft(): void {
    if (!this.#left) this.onClientLeft()
    this.#left = true
    this.#toServer.end()
  }

  #fromClient(chunk: Buffer): void {
    if (this.#opaque) {
      this.#forward({ args: [], raw: chunk })
      return
    }
    for (const frame of this.#requests.push(chunk)) {
      if (!this.#cut) this.#request(frame)
    }
    if (this.#opaque) this.#forward({ args: [], raw: this.#requests.takeRest() })
  }

  #request(frame: Frame): void {
    const { rules, counters } = this.#proxy
    const args = Array.isArray(frame.value) ? frame.value.map(String) : []
    const request = { args, raw: frame.raw }
    const name = (args[0] ?? '').toLowerCase()
    counters.requests += 1
    counters.commands.set(name, (counters.commands.get(name) ?? 0) + 1)
    if (uses(rules.cutBefore, request)) {
      this.#cutNow()
      return
    }
    if (SUBSCRIPTIONS.test(name)) this.#subscribed = true
    if (name === 'psync' || name === 'sync') this.#opaque = true
    const replies = SUBSCRIPTIONS.test(name) ? Math.max(1, args.length - 1) : 1
    this.#unanswered.push({ request, replies, cut: uses(rules.cutAfter, request) })
    this.#forward(request)
  }

  #forward(request: ProxiedRequest): void {
    const { rules } = this.#proxy
    if (rules.stuckRequests(request)) this.#toServer.hold()
    const delayMs = rules.delayed(request) ? rules.requestMs : 0
    this.#toServer.send(request.raw, { delayMs, bytesPerSecond: rules.bytesPerSecond })
  }

  #fromServer(chunk: Buffer): void {
    if (this.#opaque) {
      this.#back(chunk, { args: [], raw: chunk })
      return
    }
    for (const frame of this.#replies.push(chunk)) {
      if (this.#cut) return
      const message = this.#messageIn(frame)
      if (message) this.#message(frame.raw, message)
      else this.#reply(frame)
    }
  }

  /** Gives the parts of what the server sent without being asked. */
  #messageIn({ value, push }: Frame): Reply[] | undefined {
    if (!Array.isArray(value) || !(push || this.#subscribed)) return undefined
    const kind = String(value[0])
    const unasked = push ? !SUBSCRIPTIONS.test(kind) : MESSAGES.test(kind)
    return unasked ? value : undefined
  }

  #message(raw: Buffer, value: Reply[]): void {
    const { rules, counters } = this.#proxy
    const [channel, message] = value.slice(-2).map(String)
    counters.messages += 1
    if (rules.dropped(channel ?? '', message ?? '')) counters.droppedMessages += 1
    else this.#back(raw, { args: value.slice(0, -1).map(String), raw })
  }

  #reply({ raw }: Frame): void {
    this.#proxy.counters.replies += 1
    const asked = this.#unanswered[0]
    if (!asked) {
      this.#back(raw, { args: [], raw })
      return
    }
    asked.replies -= 1
    if (asked.replies === 0) this.#unanswered.shift()
    if (asked.cut) this.#cutNow()
    else this.#back(raw, asked.request)
  }

  #back(bytes: Buffer, request: ProxiedRequest): void {
    const { rules } = this.#proxy
    if (rules.stuckReplies(request)) this.#toClient.hold()
    const delayMs = rules.delayed(request) ? rules.replyMs : 0
    this.#toClient.send(bytes, { delayMs, bytesPerSecond: rules.bytesPerSecond })
  }

  /** Earlier replies still reach the client; nothing after them does. */
  #cutNow(): void {
    this.#cut = true
    this.#proxy.counters.cuts += 1
    this.#toServer.stop()
    this.#toClient.close()
  }
}
