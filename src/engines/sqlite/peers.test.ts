import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { hasEnded, ownMark, Peers } from './peers.ts'

const own = ownMark()

async function endedPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  return child.pid as number
}

it('takes nobody for dead that may live', async () => {
  const pid = await endedPid()
  expect(hasEnded(own, own)).toBe(false)
  expect(hasEnded({ ...own, pid: process.ppid, started: '' }, own)).toBe(false)
  expect(hasEnded({ ...own, pid, namespace: 'pid:[1]' }, own)).toBe(false)
  expect(hasEnded({ ...own, pid, namespace: 'unknown' }, { ...own, namespace: 'unknown' })).toBe(
    false,
  )
})

it('knows a process that has ended', async () => {
  expect(hasEnded({ ...own, pid: await endedPid() }, own)).toBe(true)
})

it.runIf(process.platform === 'linux')('knows a number that is used again', () => {
  expect(hasEnded({ ...own, started: '1' }, own)).toBe(true)
})

it('takes a process without a row for ended, and asks seldom', async () => {
  const peers = new Peers(own)
  let reads = 0
  const row = { bell: 'bell', pid: own.pid, started: own.started, namespace: own.namespace }
  const read = (id: number) => {
    reads += 1
    return id === 1 ? row : undefined
  }
  expect(peers.hasEnded(2, 0, read)).toBe(true)
  for (let us = 0; us < 200_000; us += 10_000) expect(peers.hasEnded(1, us, read)).toBe(false)
  expect(peers.bellOf(1, read)).toBe('bell')
  expect(reads).toBe(2)
})
