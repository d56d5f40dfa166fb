#!/usr/bin/env node
import { runCli } from './commands.ts'

// Set instead of calling process.exit, so that a pipe gets all that was written.
process.exitCode = await runCli(process.argv.slice(2), process)
