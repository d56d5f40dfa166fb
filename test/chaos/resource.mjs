/**
 * What the locks guard: numbers, each of which remembers the largest fence that it was shown and
 * refuses smaller ones, reads included, since what is written depends on what was read. It does one
 * thing after another and knows nothing of locks.
 */
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'

const { path, checks } = JSON.parse(process.argv[2])
const cells = new Map()
const report = { accepted: 0, refused: 0, lost: 0, shared: 0 }

function access({ lock, fence, turn, value }) {
  const cell = cells.get(lock) ?? { fence: 0, turn, value: 0 }
  cells.set(lock, cell)
  if (checks && fence < cell.fence) {
    report.refused += 1
    return 'refused'
  }
  // Two turns with one fence cannot be told apart by it.
  if (fence === cell.fence && turn !== cell.turn) report.shared += 1
  if (fence >= cell.fence) Object.assign(cell, { fence, turn })
  if (value === undefined) return cell.value
  report.accepted += 1
  // Somebody wrote between the read and this write, and that is now overwritten.
  if (value !== cell.value + 1) report.lost += 1
  cell.value = value
  return 'written'
}

const server = createServer((socket) => {
  const lines = createInterface({ input: socket })
  lines.on('line', (line) => {
    const question = JSON.parse(line)
    socket.write(`${JSON.stringify(question.report ? report : access(question))}\n`)
  })
  // Whoever was killed does not hear the answer.
  socket.on('error', () => {})
  lines.on('error', () => {})
})
server.listen(path, () => process.stdout.write('ready\n'))
// Ends with whoever started it.
process.stdin.on('end', () => process.exit(0)).resume()
