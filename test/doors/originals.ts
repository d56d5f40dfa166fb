import { createRequire } from 'node:module'

/** The published packages, seen as their doors: what differs is what the tests look for. */
const load = createRequire(import.meta.url)

export type RedlockDoor = typeof import('holdfast/redlock')
export type SemaphoreDoor = typeof import('holdfast/redis-semaphore')

export const originalRedlock = load('redlock') as RedlockDoor
export const originalSemaphore = load('redis-semaphore') as SemaphoreDoor
