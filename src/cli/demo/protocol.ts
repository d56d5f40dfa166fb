import type { Scene } from './options.ts'

/** What one process of the demo does. It is sent as a message: others can read arguments. */
export interface Part {
  readonly url: string
  /** What nobody else would remove if the demo were killed. */
  readonly folder: string | undefined
  readonly lock: string
  readonly name: string
  readonly scene: Scene
  readonly taskMs: number
  readonly ttlMs: number
  /** How long to wait for the lock: longer than everybody's turn takes. */
  readonly patienceMs: number
}

/** What the demo tells a process. */
export type Order =
  | { readonly order: 'prepare'; readonly part: Part }
  /** Begin at this moment of the machine's clock, all at once. */
  | { readonly order: 'begin'; readonly atMs: number }
  /** The answer that the process waits for has come. */
  | { readonly order: 'continue' }
  /** Give back what is held and leave. */
  | { readonly order: 'stop' }

/** What a process tells the demo; `atMs` is on the machine's clock, taken where it happened. */
export type Told = { readonly atMs: number } & (
  | { readonly type: 'ready' }
  | { readonly type: 'tries' }
  | { readonly type: 'waits'; readonly ahead: number; readonly holder: string | undefined }
  | { readonly type: 'acquires'; readonly value: string; readonly fence: number }
  | { readonly type: 'executes'; readonly share: number }
  /** A write to the guarded resource is on its way. */
  | { readonly type: 'writes'; readonly fence: number }
  | { readonly type: 'completes' }
  /** The task is over and the release is about to be sent. */
  | { readonly type: 'releases' }
  | { readonly type: 'released'; readonly confirmed: boolean }
  | { readonly type: 'refused'; readonly holder: string | undefined }
  | { readonly type: 'loses'; readonly message: string }
  | { readonly type: 'fails'; readonly message: string }
)
