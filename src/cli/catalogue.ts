import type { CommandSpec } from './spec.ts'
import { COMPLETION, DOCTOR, LIST, RELEASE, SHOW, WATCH } from './specs/looking.ts'
import { BENCH, DEMO, ELECT, RUN } from './specs/running.ts'

/** Every command, in the order of the help. */
export const CATALOGUE: readonly CommandSpec[] = [
  RUN,
  ELECT,
  LIST,
  SHOW,
  WATCH,
  RELEASE,
  DOCTOR,
  BENCH,
  DEMO,
  COMPLETION,
]
