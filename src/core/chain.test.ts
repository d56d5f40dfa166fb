import { describe, expect, it } from 'vitest'
import { Chain, type Chained } from './chain.ts'

class Member implements Chained<Member> {
  readonly name: string
  chain: object | undefined
  previous: Member | undefined
  next: Member | undefined

  constructor(name: string) {
    this.name = name
  }
}

const names = (chain: Chain<Member>): string => {
  expect(chain.size).toBe(chain.toArray().length)
  return chain
    .toArray()
    .map(({ name }) => name)
    .join('')
}

describe('a chain', () => {
  it('keeps the order in which its members came, whoever leaves', () => {
    const chain = new Chain<Member>()
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => new Member(name)) as [
      Member,
      Member,
      Member,
      Member,
    ]
    for (const member of [a, b, c, d]) chain.add(member)
    expect(names(chain)).toBe('abcd')
    expect(chain.first).toBe(a)
    expect(chain.delete(b)).toBe(true)
    expect(names(chain)).toBe('acd')
    chain.add(b)
    expect(names(chain)).toBe('acdb')
    expect([chain.delete(a), chain.delete(b)]).toEqual([true, true])
    expect(names(chain)).toBe('cd')
    expect([chain.delete(c), chain.delete(d)]).toEqual([true, true])
    expect(names(chain)).toBe('')
    expect(chain.first).toBeUndefined()
  })

  it('lets only its own members go, and leaves nothing on them', () => {
    const [one, other] = [new Chain<Member>(), new Chain<Member>()]
    const [a, b] = [new Member('a'), new Member('b')]
    one.add(a)
    one.add(b)
    expect(other.delete(a)).toBe(false)
    expect(one.delete(a)).toBe(true)
    expect(one.delete(a)).toBe(false)
    expect(a).toEqual(new Member('a'))
    expect(names(one)).toBe('b')
  })
})
