/** One line on a terminal that is overwritten; elsewhere one line for each step. */
export function progressLine(stream = process.stderr) {
  const from = performance.now()
  let last = ''
  return {
    tell: (text) => {
      const seconds = Math.round((performance.now() - from) / 1000)
      if (stream.isTTY) {
        stream.write(`\r\u001b[2K${seconds} s  ${text}`.slice(0, (stream.columns ?? 80) + 4))
        return
      }
      // Rounds of a row are one step.
      const step = text.replace(/: round .*/, '')
      if (step !== last) stream.write(`${seconds} s  ${step}\n`)
      last = step
    },
    clear: () => {
      if (stream.isTTY) stream.write('\r\u001b[2K')
    },
  }
}
