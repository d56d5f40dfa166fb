/** `npm run chaos`: loads the laboratory, since Node 20 runs no TypeScript by itself. */
import { fileURLToPath } from 'node:url'
import { createViteServer } from 'vitest/node'

const path = (name) => fileURLToPath(new URL(name, import.meta.url))
const vite = await createViteServer({
  configFile: false,
  appType: 'custom',
  logLevel: 'error',
  optimizeDeps: { noDiscovery: true },
  server: { middlewareMode: true, ws: false, watch: null },
})
const { main } = await vite.ssrLoadModule(path('long-run.ts'))
const code = await main(process.argv.slice(2))
await vite.close()
process.exit(code)
