import { describe, expect, it } from 'vitest'
import { run } from './laboratory.ts'
import type { Scenario } from './scenario.ts'
import { scenario, work } from './scenarios.ts'

interface Bite extends Partial<Omit<Scenario, 'faults'>> {
  readonly what: string
  readonly kinds?: readonly string[]
  readonly strikes?: number
  /** What the judge has to say; nothing where all is well. */
  readonly caught: readonly RegExp[]
}

const long = { ...work, longShare: 0.5 }
const wrong = (lock: string) => ({ maker: 'wrong-maker', options: { wrong: lock } })

/** Locks and resources that are wrong on purpose, each in one way; the first two are right. */
const bites: readonly Bite[] = [
  { what: 'locks of Holdfast', work: long, caught: [] },
  { what: 'the plain recipe, while turns are short', ...wrong('PlainLock'), caught: [] },
  {
    what: 'a release in two steps, GET and then DEL',
    ...wrong('TwoSteps'),
    work: long,
    caught: [/came in at .* while the lease of .* stood/],
  },
  {
    what: 'a lock that is not renewed and does not know its end',
    ...wrong('NoRenewal'),
    work: long,
    caught: [
      /came in at .* while the lease of .* stood/,
      /a mutex are none/,
      /read \d+ after .* wrote/,
    ],
  },
  {
    what: 'a fence that is a number by chance',
    ...wrong('RandomFence'),
    caught: [/got fence \d+ after/, /updates were lost|holders were refused/],
  },
  {
    what: 'a lock that outlives its holder',
    ...wrong('NoLife'),
    kinds: ['kill-holder'],
    strikes: 1,
    patienceMs: 2_000,
    caught: [/never served/, /did not end when they were told/, /left behind/],
  },
  {
    what: 'a rejection that nobody hears',
    ...wrong('Throwing'),
    caught: [/nobody caught unhandledRejection: Error: nobody hears this/],
  },
  {
    what: 'a resource that does not check fences, under holders that sleep through their lease',
    kinds: ['pause-holder'],
    strikes: 8,
    groups: 2,
    checksFence: false,
    work: { ...work, longShare: 0 },
    caught: [/updates were lost behind the fence/],
  },
]

describe('the laboratory', () => {
  it.concurrent.each(bites)('sees what is wrong with $what', async (bite) => {
    const { what, kinds = [], strikes = 0, caught, ...more } = bite
    const shown = scenario(what, 'one', kinds, { groups: 1, processes: 3, ...more })
    const options = { seed: 1, strikes, slackMs: 10_000 }
    if (caught.length === 0) {
      expect((await run(shown, { ...options, forMs: 3_000 })).violations).toEqual([])
      return
    }
    // On a machine that is busy, what is wrong takes longer to show.
    let told = ''
    for (const forMs of [3_000, 10_000, 40_000]) {
      told = (await run(shown, { ...options, forMs })).violations.join('\n')
      if (caught.every((sentence) => sentence.test(told))) break
    }
    for (const sentence of caught) expect(told).toMatch(sentence)
  })
})
