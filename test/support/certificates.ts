import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { reaper } from './reaper.ts'

/** Paths of PEM files, made anew for a test. */
export interface Certificates {
  readonly ca: string
  /** A certificate for localhost and 127.0.0.1, signed by the CA, and its key. */
  readonly cert: string
  readonly key: string
  /** A CA that signed nothing here. */
  readonly otherCa: string
  /** Arguments that make a server speak TLS on one more port. */
  serverArgs(port: number, clients: 'ask' | 'ask not'): string[]
  remove(): Promise<void>
}

const run = promisify(execFile)

/** Makes certificates with the openssl of this machine. */
export async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-certificates-'))
  reaper.watchFolder(folder)
  const file = (name: string): string => join(folder, name)
  const openssl = async (...args: string[]): Promise<unknown> => await run('openssl', args)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const authority = async (name: string): Promise<void> => {
    const subject = ['-subj', `/CN=${name}`, '-days', '2']
    const out = ['-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)]
    await openssl('req', '-x509', ...newKey, ...subject, ...out)
  }
  await authority('ca')
  await authority('other')
  const request = ['-keyout', file('server.key'), '-out', file('server.csr')]
  await openssl('req', ...newKey, '-subj', '/CN=localhost', ...request)
  await writeFile(file('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  const signed = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2']
  const sign = ['x509', '-req', '-in', file('server.csr'), '-extfile', file('names'), ...signed]
  await openssl(...sign, '-out', file('server.pem'))
  const made = { ca: file('ca.pem'), cert: file('server.pem'), key: file('server.key') }
  return {
    ...made,
    otherCa: file('other.pem'),
    serverArgs(port, clients) {
      const files = ['--tls-cert-file', made.cert, '--tls-key-file', made.key]
      const who = ['--tls-ca-cert-file', made.ca, '--tls-auth-clients']
      return ['--tls-port', String(port), ...files, ...who, clients === 'ask' ? 'yes' : 'no']
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
