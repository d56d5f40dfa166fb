/** Starts a server, says which, and waits to be killed. */
import { fileURLToPath } from 'node:url'
import { createViteServer } from 'vitest/node'

// Node 20 runs no TypeScript by itself.
const vite = await createViteServer({
  configFile: false,
  appType: 'custom',
  logLevel: 'error',
  optimizeDeps: { noDiscovery: true },
  server: { middlewareMode: true, ws: false, watch: null },
})
const { startServer } = await vite.ssrLoadModule(
  fileURLToPath(new URL('servers.ts', import.meta.url)),
)
const { pid, dir } = await startServer()
console.log(JSON.stringify({ server: pid, folder: dir }))
setInterval(() => {}, 60_000)
