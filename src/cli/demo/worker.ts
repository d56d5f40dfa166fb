/** One process of the demo. It lives as long as the demo wants it, and no longer than the demo. */
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type Holdfast } from '../../index.ts'
import { machineMs } from './clock.ts'
import { removeFolder } from './own-file.ts'
import { perform } from './performer.ts'
import type { Order, Part, Told } from './protocol.ts'

/** A worker that cannot give back its lock in this time leaves it to the lease's end. */
const LEAVE_MS = 2000

const stop = new AbortController()
let folder: string | undefined
let answers = 0
let onAnswer = (): void => {}
let onBegin = (_atMs: number): void => {}
const begin = new Promise<number>((resolve) => {
  onBegin = resolve
})

/** Resolves when all that was told is on its way. */
let flushed: Promise<unknown> = Promise.resolve()

function tell(told: Told): void {
  // Without a demo there is nobody to tell.
  if (!process.connected) return
  const sent = new Promise((resolve) => {
    process.send?.(told, undefined, undefined, resolve)
  })
  flushed = Promise.all([flushed, sent])
}

async function answer(): Promise<void> {
  while (answers === 0) {
    await new Promise<void>((resolve) => {
      onAnswer = resolve
    })
  }
  answers--
}

function leave(): void {
  stop.abort()
  setTimeout(() => process.exit(1), LEAVE_MS).unref()
}

async function work(part: Part): Promise<void> {
  let holdfast: Holdfast | undefined
  folder = part.folder
  try {
    // Many processes that start at once on few processors answer late; nothing is wrong then.
    const patience = { commandTimeoutMs: 5000, requestTimeoutMs: 8000, fenceTtlMs: 60_000 }
    holdfast = await connect(part.url, patience)
    tell({ type: 'ready', atMs: machineMs() })
    const stopped = new Promise<undefined>((resolve) => {
      stop.signal.addEventListener('abort', () => resolve(undefined), { once: true })
    })
    const atMs = stop.signal.aborted ? undefined : await Promise.race([begin, stopped])
    if (atMs !== undefined) {
      await sleep(Math.max(0, atMs - machineMs()))
      await perform(holdfast, part, { tell, answer, stop: stop.signal })
    }
  } catch (error) {
    tell({ type: 'fails', atMs: machineMs(), message: (error as Error).message })
  } finally {
    // A server that is gone would be waited for.
    await Promise.race([holdfast?.close(), sleep(LEAVE_MS)])
  }
  await flushed
  process.exit(0)
}

process.on('message', (order: Order) => {
  switch (order.order) {
    case 'prepare':
      void work(order.part)
      break
    case 'begin':
      onBegin(order.atMs)
      break
    case 'continue':
      answers++
      onAnswer()
      break
    case 'stop':
      leave()
      break
    default:
      order satisfies never
  }
})
// The demo is gone, in whatever way. The last process to leave removes the file for good.
process.on('disconnect', () => {
  process.on('exit', () => {
    if (folder !== undefined) removeFolder(folder)
  })
  leave()
})
// A terminal sends these to everybody; the demo decides what they mean.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
