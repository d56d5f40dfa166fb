import { describe, expect, it } from 'vitest'
import { RedisFailure } from '../port.ts'
import { addressOf, nameOf, readSlots, redirectionOf } from './cluster-map.ts'

const asked = { host: 'seed', port: 7000 }
const same = (address: { host: string; port: number }) => address

describe('the answer of CLUSTER SLOTS', () => {
  it('tells the primary of each slot, and no replica', () => {
    const map = readSlots(
      [
        [0, 1, ['10.0.0.1', 7001, 'id', []], ['10.0.0.9', 7009, 'id', []]],
        [3, 3, ['fe80::2', 7002, 'id']],
      ],
      asked,
      same,
    )
    expect([0, 1, 2, 3].map((slot) => map.owner(slot))).toEqual([
      '10.0.0.1:7001',
      '10.0.0.1:7001',
      undefined,
      'fe80::2:7002',
    ])
    expect([...map.primaries]).toEqual(['10.0.0.1:7001', 'fe80::2:7002'])
  })

  it.each([[null], [''], ['?']])('with the host %j means the node that was asked', (host) => {
    expect(readSlots([[0, 0, [host, 7001]]], asked, same).owner(0)).toBe('seed:7001')
  })

  it('is translated to the addresses that nodes are reached at', () => {
    const translate = ({ port }: { port: number }) => ({ host: 'outside', port: port + 1 })
    expect(readSlots([[5, 5, ['inside', 1]]], asked, translate).owner(5)).toBe('outside:2')
  })

  it('is refused when it is none', () => {
    expect(() => readSlots('OK', asked, same)).toThrow(RedisFailure)
    expect(readSlots([], asked, same).primaries.size).toBe(0)
  })
})

describe('a redirection', () => {
  const read = (text: string) =>
    redirectionOf(new RedisFailure('unavailable', false, text), 'node:7001')

  it('names the slot and the node', () => {
    const to = { host: '10.0.0.2', port: 7002 }
    expect(read('MOVED 12182 10.0.0.2:7002')).toEqual({ ask: false, slot: 12_182, to })
    expect(read('ASK 7 10.0.0.2:7002 (a hint)')).toEqual({ ask: true, slot: 7, to })
    expect(read('ASK 7 fe80::2:7002')?.to).toEqual({ host: 'fe80::2', port: 7002 })
  })

  it('without a host means the node that said so', () => {
    expect(read('MOVED 1 :7003')?.to).toEqual({ host: 'node', port: 7003 })
  })

  it('is nothing else', () => {
    for (const text of ['MOVED', 'TRYAGAIN Multiple keys', 'ERR MOVED 1 a:1']) {
      expect(read(text)).toBe(undefined)
    }
  })
})

it('names are addresses, IPv6 included', () => {
  for (const address of [asked, { host: 'fe80::2', port: 1 }]) {
    expect(addressOf(nameOf(address))).toEqual(address)
  }
})
