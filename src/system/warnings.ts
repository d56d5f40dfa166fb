import type { Finding } from '../core/finding.ts'

const told = new Set<string>()

/** Says what was found through `process.emitWarning`, once in a process. */
export function warn({ code, seen, endangers, advice }: Finding): void {
  const text = `${seen} ${endangers} ${advice}`
  if (told.has(text)) return
  told.add(text)
  process.emitWarning(text, { type: 'HoldfastWarning', code })
}
