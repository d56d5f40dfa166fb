#!/usr/bin/env node
import { write } from 'node:fs'
import * as nodeModule from 'node:module'

// Node 22 and newer keep what they compiled; must come before the rest is loaded.
const { enableCompileCache } = nodeModule as { enableCompileCache?: () => unknown }
enableCompileCache?.()
const args = process.argv.slice(2)
const { tellWarnings } = await import('./warnings.ts')
const { problemLine } = await import('./problem.ts')
// Not by process.stderr: a command may share the pipe, and this would make it non-blocking.
tellWarnings((message) => {
  write(
    2,
    problemLine({ command: undefined, args, env: process.env }, 'warning', message),
    () => {},
  )
})
const { runCli } = await import('./commands.ts')

// Set instead of calling process.exit, so that a pipe gets all that was written.
process.exitCode = await runCli(args, process)
