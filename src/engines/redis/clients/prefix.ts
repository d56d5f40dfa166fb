/** Where the keys stand in the arguments: behind a script, its digest or its name, and a number. */
const SCRIPT_COMMANDS = new Set(['eval', 'evalsha', 'eval_ro', 'evalsha_ro', 'fcall', 'fcall_ro'])

/**
 * Prefixes the keys of a script, and of any other command the first argument that equals the key it
 * is routed by. The clients' own prefixing is switched off: one of them leaves out commands it does
 * not know, the other all commands sent by name.
 */
export function withPrefix(
  prefix: string,
  name: string,
  args: readonly (string | number)[],
  key: string | undefined,
): readonly (string | number)[] {
  if (prefix === '') return args
  const all = [...args]
  if (SCRIPT_COMMANDS.has(name)) {
    const end = 2 + Number(args[1])
    for (let at = 2; at < end; at += 1) all[at] = prefix + String(args[at])
  } else if (key !== undefined) {
    const at = all.indexOf(key)
    if (at >= 0) all[at] = prefix + key
  }
  return all
}
