/** A client of the fenced resource in resource.mjs. */
export interface ResourceClient {
  read(lock: string, fence: number, turn: string): Promise<number | 'refused'>
  write(lock: string, fence: number, turn: string, value: number): Promise<'written' | 'refused'>
  report(): Promise<unknown>
  close(): void
}

export function openResource(path: string): Promise<ResourceClient>
