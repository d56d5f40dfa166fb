import { parse, wordsOf } from '../arguments.ts'
import type { World } from '../commands.ts'
import { EXIT, usageError } from '../exit.ts'
import { COMPLETION } from '../specs/looking.ts'
import { bash } from './bash.ts'
import { fish } from './fish.ts'
import { zsh } from './zsh.ts'

/** Prints the completions of one shell. */
export async function completion(args: readonly string[], world: World): Promise<number> {
  const [shell] = wordsOf(COMPLETION, parse(COMPLETION, args), 1)
  world.stdout.write(scriptFor(shell))
  return EXIT.ok
}

function scriptFor(shell: string | undefined): string {
  switch (shell) {
    case 'bash':
      return bash()
    case 'zsh':
      return zsh()
    case 'fish':
      return fish()
    default:
      throw usageError('name the shell: bash, zsh or fish.')
  }
}
