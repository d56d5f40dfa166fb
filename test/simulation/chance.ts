import type { Random } from 'holdfast'

/** Everything that is left to chance in a simulation, from one seed. */
export class Chance {
  readonly random: Random

  constructor(random: Random) {
    this.random = random
  }

  happens(chance: number): boolean {
    return chance > 0 && this.random.fraction() < chance
  }

  between([least, most]: readonly [number, number]): number {
    return least + this.random.fraction() * (most - least)
  }

  of<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.random.fraction() * choices.length)] as T
  }
}
