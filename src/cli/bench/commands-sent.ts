/** Counts what this process sends to a Redis or Valkey, whatever else goes on there. */
export class CommandCounter {
  sent = 0
  /** Whether there is a server, and so something to count. */
  readonly counts: boolean

  private constructor(counts: boolean) {
    this.counts = counts
  }

  /** Must come before the connections are made. */
  static async start(url: string | undefined): Promise<CommandCounter> {
    const counter = new CommandCounter(!/^sqlite:/i.test(url ?? 'sqlite:'))
    if (!counter.counts) return counter
    const { Redis } = await import('ioredis')
    const described = Object.getOwnPropertyDescriptor(Redis.prototype, 'sendCommand')
    const send = described?.value as (...sent: unknown[]) => unknown
    Object.defineProperty(Redis.prototype, 'sendCommand', {
      ...described,
      value(this: unknown, ...sent: unknown[]) {
        counter.sent++
        return send.apply(this, sent)
      },
    })
    return counter
  }
}
