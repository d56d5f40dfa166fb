import { fstatSync } from 'node:fs'

/** How often it is looked whether somebody reads. */
const EVERY_MS = 500

/** Time for one look, during which nothing else runs here; a limit of 0 would not look at all. */
const LOOK_NS = 2_000_000n

/**
 * Whoever reads the output, such as `head`. A pipe tells that its reader left when it is written
 * to; this one notices it also while there is nothing to write.
 */
export class Reader {
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout | undefined

  constructor(stdout: NodeJS.WritableStream & { readonly fd?: number }) {
    stdout.on('error', () => this.#controller.abort())
    const { fd } = stdout
    if (fd === undefined || !isPipe(fd)) return
    let look: Promise<() => boolean> | undefined
    this.#timer = setInterval(() => {
      // Loaded when it takes so long that somebody may have left.
      look ??= lookAt(fd)
      look.then((isGone) => isGone() && this.#controller.abort()).catch(() => this.close())
    }, EVERY_MS)
    this.#timer.unref()
  }

  /** Aborts when nobody reads any more, or the output cannot be written. */
  get gone(): AbortSignal {
    return this.#controller.signal
  }

  /** Looks no longer. */
  close(): void {
    clearInterval(this.#timer)
  }
}

function isPipe(fd: number): boolean {
  if (process.platform === 'win32') return false
  try {
    const stat = fstatSync(fd)
    return stat.isFIFO() || stat.isSocket()
  } catch {
    return false
  }
}

/** A WebAssembly module that hands on `poll_oneoff`, the only poll(2) that Node has. */
const MODULE = Buffer.from(
  [
    '0061736d01000000',
    // Its type: four numbers in, one out.
    '010901 60047f7f7f7f017f',
    `0226 01 16${hex('wasi_snapshot_preview1')} 0b${hex('poll_oneoff')} 0000`,
    // One page of memory; memory and function are exported.
    '0503 010001',
    `0711 02 06${hex('memory')} 0200 04${hex('poll')} 0000`,
  ]
    .join('')
    .replaceAll(' ', ''),
  'hex',
)

function hex(text: string): string {
  return Buffer.from(text).toString('hex')
}

/** What is used of WebAssembly, which the types of Node leave out. */
interface Wasm {
  instantiate(
    module: Uint8Array,
    imports: object,
  ): Promise<{ readonly instance: { readonly exports: Exports } }>
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly poll: (asked: number, events: number, how: number, count: number) => number
}

const READ = 1
const EVENTS = 256
const COUNT = 512

/** Resolves to a function that tells whether the other end of a pipe or socket was closed. */
async function lookAt(fd: number): Promise<() => boolean> {
  const { WASI } = await import('node:wasi')
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: Wasm }
  const wasi = new WASI({ version: 'preview1', stdout: fd })
  const { instance } = await WebAssembly.instantiate(MODULE, {
    wasi_snapshot_preview1: wasi.wasiImport,
  })
  wasi.initialize(instance)
  const { memory, poll } = instance.exports
  return () => {
    const view = new DataView(memory.buffer)
    new Uint8Array(memory.buffer).fill(0, 0, COUNT + 4)
    // Two subscriptions of 48 bytes: to reading from stdout, which only a closed one ends, and to
    // the clock.
    view.setUint8(8, READ)
    view.setUint32(16, 1, true)
    view.setBigUint64(48, 1n, true)
    view.setUint32(48 + 16, 1, true)
    view.setBigUint64(48 + 24, LOOK_NS, true)
    if (poll(0, EVENTS, 2, COUNT) !== 0) throw new Error('poll_oneoff failed')
    const told = Array.from({ length: view.getUint32(COUNT, true) }, (_, at) => EVENTS + at * 32)
    // An error, as for a pipe, or the flag of a hang-up, as for a socket. Without either, it was
    // something that the other end wrote.
    return told.some((at) => {
      const isOutput = view.getBigUint64(at, true) === 0n
      return isOutput && (view.getUint16(at + 8, true) !== 0 || view.getUint16(at + 24, true) === 1)
    })
  }
}
