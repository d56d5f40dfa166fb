import type { OptionSpec } from '../spec.ts'

/** Short and long forms of an option. */
export function forms({ name, short }: OptionSpec): string[] {
  return short === undefined ? [`--${name}`] : [`-${short}`, `--${name}`]
}

/** Items as the words of a shell. */
export const words = (items: readonly string[]): string => items.join(' ')
