import { createInterface } from 'node:readline'

/** Says one line to whoever started this process. */
export function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/**
 * Does as it is told: one JSON command per line of standard input, one answer each with its `id`.
 * Returns what to close when no more commands are wanted.
 */
export function answerCommands(commands) {
  const answer = async (line) => {
    const { id, command, ...rest } = JSON.parse(line)
    try {
      say({ id, value: (await commands[command](rest)) ?? null })
    } catch (error) {
      say({ id, error: { name: error.name, code: error.code, message: error.message } })
    }
  }
  const input = createInterface({ input: process.stdin })
  input.on('line', (line) => void answer(line))
  return input
}
