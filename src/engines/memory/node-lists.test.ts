import { describe, expect, it } from 'vitest'
import { SimulatedClock } from '../../testing/index.ts'
import { memory } from './index.ts'
import { NodeLists } from './node-lists.ts'

const entry = { list: 'a b c', by: 'host:1', node: 'a', keepMs: 100 }

describe('the lists of nodes that a store was counted among', () => {
  it('are told to those who use another, the latest first, for as long as they count', async () => {
    const clock = new SimulatedClock()
    const lists = new NodeLists(clock)
    expect(lists.enlist(entry)).toEqual({ node: 'a', nodeMs: 0, others: [] })
    await clock.advance(60)
    const other = { ...entry, list: 'a b d', by: 'host:2', node: 'z' }
    expect(lists.enlist(other)).toEqual({
      node: 'a',
      nodeMs: 60,
      others: [{ list: 'a b c', by: 'host:1', agoMs: 60 }],
    })
    expect(lists.enlist({ ...entry, list: '' }).others.map(({ list }) => list)).toEqual([
      'a b d',
      'a b c',
    ])
    await clock.advance(60)
    expect(lists.enlist({ ...entry, list: '' }).others).toEqual([
      { list: 'a b d', by: 'host:2', agoMs: 60 },
    ])
  })

  it('are kept by the engine, until it is closed', async () => {
    const engine = memory()
    expect(await engine.enlist?.(entry)).toMatchObject({ node: 'a', others: [] })
    await engine.close()
    await expect(engine.enlist?.(entry)).rejects.toMatchObject({ code: 'HOLDFAST_CLOSED' })
  })
})
