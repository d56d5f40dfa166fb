import { connect } from 'holdfast'
import { startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { webLocksSpecification } from './specification.ts'

describeServers('Web Locks', (name) => {
  webLocksSpecification(async () => {
    const server = await startServer({ server: name })
    return {
      holdfast: (options) => connect(server.url, options),
      stop: () => server.stop(),
    }
  })
})
