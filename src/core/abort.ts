interface Shared {
  readonly callbacks: Set<() => void>
  readonly listener: () => void
}

const shared = new WeakMap<AbortSignal, Shared>()

/**
 * Calls `callback` once when `signal` aborts, until the returned function is called. However many
 * calls share a signal, it gets one listener: platforms warn of a leak at eleven.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const { callbacks, listener } = shared.get(signal) ?? share(signal)
  // Wrapped, so that one function added twice is called twice and removed one at a time.
  const entry = () => callback()
  callbacks.add(entry)
  return () => {
    callbacks.delete(entry)
    if (callbacks.size > 0 || shared.get(signal)?.callbacks !== callbacks) return
    shared.delete(signal)
    signal.removeEventListener('abort', listener)
  }
}

function share(signal: AbortSignal): Shared {
  const callbacks = new Set<() => void>()
  const listener = () => {
    shared.delete(signal)
    for (const callback of callbacks) callback()
  }
  signal.addEventListener('abort', listener, { once: true })
  const made = { callbacks, listener }
  shared.set(signal, made)
  return made
}

/**
 * A signal that aborts with the first of `signals`, until the returned function is called. Node 20
 * never frees what `AbortSignal.any` notes at a signal that lives on.
 */
export function anyOf(signals: readonly AbortSignal[]): readonly [AbortSignal, () => void] {
  const controller = new AbortController()
  const undo: (() => void)[] = []
  for (const signal of signals) {
    const abort = () => controller.abort(signal.reason)
    if (signal.aborted) abort()
    else undo.push(onAbort(signal, abort))
  }
  const letGo = () => {
    for (const each of undo) each()
  }
  return [controller.signal, letGo]
}
