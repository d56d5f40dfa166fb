/**
 * What a piece of asynchronous work carries along into whatever it starts. Handed in from outside;
 * the AsyncLocalStorage of Node fits.
 */
export interface Context<T> {
  /** What the work that runs now carries. */
  getStore(): T | undefined
  /** Runs `work`, which carries `store`. */
  run<R>(store: T, work: () => R): R
}
