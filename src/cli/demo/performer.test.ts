import { afterEach, describe, expect, it } from 'vitest'
import { connect, type Holdfast } from '../../index.ts'
import { perform, type Stage } from './performer.ts'
import type { Part, Told } from './protocol.ts'

const open: Holdfast[] = []

async function holdfast(): Promise<Holdfast> {
  const one = await connect('memory:')
  open.push(one)
  return one
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()))
})

const part: Part = {
  url: 'memory:',
  folder: undefined,
  lock: 'demo:test',
  name: 'P1',
  scene: 'line',
  taskMs: 20,
  ttlMs: 2000,
  patienceMs: 5000,
}

class TestStage implements Stage {
  readonly told: Told[] = []
  readonly #stop = new AbortController()
  readonly stop: AbortSignal = this.#stop.signal
  answers: Promise<void> = Promise.resolve()
  onTold: (told: Told) => void = () => {}

  get types(): string[] {
    return this.told.map(({ type }) => type).filter((type) => type !== 'executes')
  }

  tell(told: Told): void {
    this.told.push(told)
    this.onTold(told)
  }

  async answer(): Promise<void> {
    await this.answers
  }

  halt(): void {
    this.#stop.abort(new Error('halt'))
  }
}

const turn = ['tries', 'acquires', 'completes', 'releases', 'released']

describe('perform', () => {
  it('acquires, executes, completes and releases', async () => {
    const stage = new TestStage()
    await perform(await holdfast(), part, stage)
    expect(stage.types).toEqual(turn)
    const shares = stage.told.flatMap((told) => (told.type === 'executes' ? told.share : []))
    expect(shares.at(0)).toBeLessThan(1)
    expect(shares.at(-1)).toBe(1)
    const times = stage.told.map(({ atMs }) => atMs)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  })

  it('waits in line and tells its place', async () => {
    const locks = await holdfast()
    const [first, second] = [new TestStage(), new TestStage()]
    await Promise.all([perform(locks, part, first), perform(locks, part, second)])
    expect(second.told).toContainEqual(expect.objectContaining({ type: 'waits', ahead: 0 }))
    expect(second.types.filter((type) => type !== 'waits')).toEqual(turn)
  })

  it('tries once where that is the scene, and names the holder', async () => {
    const locks = await holdfast()
    const [first, second] = [new TestStage(), new TestStage()]
    const once: Part = { ...part, scene: 'try' }
    let goOn = (): void => {}
    first.answers = new Promise((resolve) => {
      goOn = resolve
    })
    second.onTold = ({ type }) => {
      if (type === 'refused') goOn()
    }
    await Promise.all([perform(locks, once, first), perform(locks, once, second)])
    expect(first.types).toEqual(turn)
    const value = first.told.flatMap((told) => (told.type === 'acquires' ? told.value : []))[0]
    expect(second.types).toEqual(['tries', 'refused'])
    expect(second.told.at(-1)).toMatchObject({ holder: value })
  })

  it('writes with its fence in the middle, and waits for the answer', async () => {
    const stage = new TestStage()
    await perform(await holdfast(), { ...part, scene: 'crash' }, stage)
    expect(stage.types).toEqual(['tries', 'acquires', 'writes', ...turn.slice(2)])
  })

  it('gives back the lock when it is stopped, in the middle of the task or of a wait', async () => {
    const locks = await holdfast()
    const [first, second] = [new TestStage(), new TestStage()]
    const long = { ...part, taskMs: 60_000 }
    first.onTold = ({ type }) => {
      if (type === 'acquires') void perform(locks, long, second)
    }
    second.onTold = ({ type }) => {
      if (type !== 'waits') return
      second.halt()
      first.halt()
    }
    await perform(locks, long, first)
    // Both listen to one Holdfast, so that the first hears of the second's place too.
    expect(first.types).toEqual(['tries', 'acquires', 'waits', 'releases', 'released'])
    expect(second.types).toEqual(['tries', 'waits'])
    expect(await locks.inspect(part.lock)).toBeNull()
  })

  it('tells when it cannot have the lock in time', async () => {
    const locks = await holdfast()
    const lease = await locks.mutex(part.lock).acquire()
    const stage = new TestStage()
    await perform(locks, { ...part, patienceMs: 10 }, stage)
    expect(stage.told.at(-1)).toMatchObject({
      type: 'fails',
      message: expect.stringContaining('not granted within 10 ms'),
    })
    await lease.release()
  })

  it('tells when it loses the lock', async () => {
    const locks = await holdfast()
    const stage = new TestStage()
    stage.onTold = ({ type }) => {
      if (type === 'executes') void locks.close()
    }
    await perform(locks, { ...part, taskMs: 60_000 }, stage)
    expect(stage.types).toEqual(['tries', 'acquires', 'loses'])
  })
})
