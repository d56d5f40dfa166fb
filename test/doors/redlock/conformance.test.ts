import * as door from 'holdfast/redlock'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { originalRedlock, type RedlockDoor } from '../originals.ts'
import { Setting } from '../setting.ts'
import { programs } from './programs.ts'

/** The original names its class only as the default. */
const original: RedlockDoor = { ...originalRedlock, Redlock: originalRedlock.default }

describe('holdfast/redlock and redlock 5', () => {
  let setting: Setting

  beforeAll(async () => {
    setting = await Setting.start()
  })

  afterAll(async () => {
    await setting.stop()
  })

  it.each(Object.entries(programs))('%s alike', async (_, program) => {
    const [a, b] = [setting.name(), setting.name()]
    const scene = { setting, client: setting.client, a, b }
    const expected = await program({ ...scene, library: original })
    await setting.client.del(a, b)
    expect(await program({ ...scene, library: door })).toEqual(expected)
  })

  it('exclude one another on the same resource, either way', async () => {
    const name = setting.name()
    const old = new original.Redlock([setting.client], { retryCount: 0 })
    const young = new door.Redlock([setting.other()], { retryCount: 0 })
    const first = await old.acquire([name], 5000)
    await expect(young.acquire([name], 5000)).rejects.toThrow(door.ExecutionError)
    const waiting = young.acquire([name], 5000, { retryCount: -1 })
    await first.release()
    const second = await waiting
    await expect(old.acquire([name], 5000)).rejects.toThrow(original.ExecutionError)
    await second.release()
    await (await old.acquire([name], 5000)).release()
  })
})
