/** Most controllers that are kept for later. */
const MOST_IDLE = 1000

/** Controllers that are used again and again: to make one costs as much as to make a request. */
export class Controllers {
  readonly #idle: AbortController[] = []

  take(): AbortController {
    return this.#idle.pop() ?? new AbortController()
  }

  /** Nobody listens to its signal any more. One that has aborted is not used again. */
  giveBack(controller: AbortController): void {
    if (controller.signal.aborted || this.#idle.length >= MOST_IDLE) return
    this.#idle.push(controller)
  }
}
