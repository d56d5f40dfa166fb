import { setTimeout as work } from 'node:timers/promises'
import { Inject, Injectable } from '@nestjs/common'
import type { Holdfast } from 'holdfast'
import { HOLDFAST } from './holdfast.module.js'

@Injectable()
export class InvoicesService {
  constructor(@Inject(HOLDFAST) private readonly holdfast: Holdfast) {}

  /** Sends the invoices of a month, once at a time over all processes. */
  async send(month: string): Promise<string> {
    const lease = await this.holdfast.mutex(`invoices:${month}`).tryAcquire()
    if (lease === null) return 'another process is at it'
    await using _ = lease
    await work(300, undefined, { signal: lease.signal })
    return `sent, fence ${lease.fence}`
  }
}
