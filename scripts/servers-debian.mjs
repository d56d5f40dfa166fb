/** Fetches packages from the Debian archive this machine is set up for, apart from its own apt. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/**
 * @typedef {object} Wanted
 * @property {string} program
 * @property {string[]} suites
 * @property {(major: number) => boolean} accepts
 * @property {boolean} [installedFirst]
 */
/** @typedef {{ uri: string, keyring: string | undefined }} Archive */
/** @typedef {{ name: string, version: string, sha256: string, depends: string[] }} Package */
/**
 * @typedef {object} Apt
 * @property {(roots: string[], python: boolean) => Promise<Package[]>} closure
 *   The packages named plus the libraries they need; the first is the first one named.
 * @property {(packages: Package[], folder: string) => Promise<void>} download
 */

const run = promisify(execFile)
const DEFAULT_KEYRINGS = ['gpg', 'pgp'].map(
  (end) => `/usr/share/keyrings/debian-archive-keyring.${end}`,
)

/**
 * Reads where this machine gets Debian from, and which keys sign it.
 * @returns {Archive}
 */
export function debianArchive() {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
  if (!/^ID=debian$/m.test(release) || process.arch !== 'x64') {
    throw new Error('this machine is not Debian on amd64')
  }
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1] ?? 'sid'
  const suites = new Set([codename, 'stable', 'testing', 'unstable', 'sid'])
  const source = configuredSources().find(
    (one) =>
      one.types.includes('deb') &&
      one.components.includes('main') &&
      one.suites.some((suite) => suites.has(suite)),
  )
  const uri = source?.uris[0]
  if (!uri) throw new Error('no Debian source is set up in /etc/apt')
  const keyring = [source.keyring, ...DEFAULT_KEYRINGS].find((file) => file && existsSync(file))
  return { uri, keyring }
}

function configuredSources() {
  const folder = '/etc/apt/sources.list.d'
  const names = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []
  const files = ['/etc/apt/sources.list', ...names].filter((file) => existsSync(file))
  return files.flatMap((file) => {
    const text = readFileSync(file, 'utf8').replace(/^\s*#.*\n?/gm, '')
    if (file.endsWith('.sources')) return stanzas(text).map(fromFields)
    return file.endsWith('.list') ? text.split('\n').flatMap(fromLine) : []
  })
}

/** @param {Map<string, string>} fields */
function fromFields(fields) {
  /** @param {string} name */
  const words = (name) => (fields.get(name) ?? '').split(/\s+/).filter(Boolean)
  const enabled = fields.get('enabled') !== 'no'
  return {
    types: enabled ? words('types') : [],
    uris: words('uris'),
    suites: words('suites'),
    components: words('components'),
    keyring: words('signed-by').find((word) => word.startsWith('/')),
  }
}

/** @param {string} line */
function fromLine(line) {
  const match = /^\s*(deb)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line)
  if (!match) return []
  const [, type = '', options = '', uri = '', suite = '', components = ''] = match
  const keyring = /signed-by=([^\s,]+)/.exec(options)?.[1]
  return [
    { types: [type], uris: [uri], suites: [suite], components: components.split(/\s+/), keyring },
  ]
}

/**
 * Splits control-file text into one map per stanza; names are lower-cased.
 * @param {string} text
 */
function stanzas(text) {
  return text
    .split(/\n\s*\n/)
    .filter((part) => part.trim())
    .map((part) => {
      const unfolded = part.replace(/\n[ \t]+/g, ' ')
      const pairs = unfolded.split('\n').flatMap((line) => {
        const colon = line.indexOf(':')
        return colon > 0
          ? [
              /** @type {const} */ ([
                line.slice(0, colon).toLowerCase(),
                line.slice(colon + 1).trim(),
              ]),
            ]
          : []
      })
      return new Map(pairs)
    })
}

/**
 * Sets up apt for one suite with its own state, so that nothing installed here has any influence
 * and nothing here is changed.
 * @param {string} folder
 * @param {string} suite
 * @param {Archive} archive
 * @returns {Promise<Apt>}
 */
export async function privateApt(folder, suite, { uri, keyring }) {
  for (const part of ['state/lists/partial', 'cache/archives/partial']) {
    await mkdir(join(folder, part), { recursive: true })
  }
  await writeFile(join(folder, 'status'), '')
  await writeFile(
    join(folder, 'this.sources'),
    [
      'Types: deb',
      `URIs: ${uri}`,
      `Suites: ${suite}`,
      'Components: main',
      ...(keyring ? [`Signed-By: ${keyring}`] : []),
      '',
    ].join('\n'),
  )
  const options = aptOptions(folder)
  /** @param {string} tool @param {string[]} args @param {string} cwd */
  const apt = (tool, args, cwd = folder) =>
    run(tool, [...options, ...args], { cwd, maxBuffer: 64 * 1024 * 1024 })

  await apt('apt-get', ['update', '--error-on=any'])
  return {
    async closure(roots, python) {
      const found = new Map()
      for (let names = roots; names.length > 0; ) {
        const { stdout } = await apt('apt-cache', ['show', '--no-all-versions', ...names])
        const fresh = stanzas(stdout).map((fields) => packageFrom(fields, python))
        for (const one of fresh) found.set(one.name, one)
        const next = new Set(fresh.flatMap((one) => one.depends))
        names = [...next].filter((name) => !found.has(name))
      }
      return [...found.values()].sort((a, b) => rank(roots, a.name) - rank(roots, b.name))
    },
    async download(packages, target) {
      await apt(
        'apt-get',
        ['download', ...packages.map((one) => `${one.name}=${one.version}`)],
        target,
      )
    },
  }
}

/** @param {string[]} roots @param {string} name */
function rank(roots, name) {
  const place = roots.indexOf(name)
  return place < 0 ? roots.length : place
}

/** @param {string} folder */
function aptOptions(folder) {
  return [
    '-q',
    `Dir::Etc::sourcelist=${join(folder, 'this.sources')}`,
    'Dir::Etc::sourceparts=/dev/null',
    'Dir::Etc::preferences=/dev/null',
    'Dir::Etc::preferencesparts=/dev/null',
    `Dir::State=${join(folder, 'state')}`,
    `Dir::State::status=${join(folder, 'status')}`,
    `Dir::Cache=${join(folder, 'cache')}`,
    // Container images switch these off, and then every query parses the whole index again.
    'Dir::Cache::pkgcache=pkgcache.bin',
    'Dir::Cache::srcpkgcache=srcpkgcache.bin',
    'APT::Architectures=amd64',
    'APT::Sandbox::User=root',
    'APT::Update::Post-Invoke-Success=',
    'Acquire::Languages=none',
    'Acquire::http::Timeout=20',
    'Acquire::Retries=2',
  ].flatMap((option) => (option.startsWith('-') ? [option] : ['-o', option]))
}

/**
 * Only libraries are followed: a server needs those to run, but not the tools its installation
 * would use. Python libraries likewise, but not Python itself.
 * @param {Map<string, string>} fields
 * @param {boolean} python
 * @returns {Package}
 */
function packageFrom(fields, python) {
  const needed = python ? /^python3-/ : /^(lib|lua-)/
  const depends = [fields.get('pre-depends'), fields.get('depends')]
    .join(',')
    .split(',')
    .map((choice) => /^[\w.+-]+/.exec(choice.trim())?.[0] ?? '')
    // A compiler for queries, larger than all else, that the server does without.
    .filter((name) => needed.test(name) && !name.startsWith('libllvm'))
  const [name, version, sha256] = ['package', 'version', 'sha256'].map((key) => fields.get(key))
  if (!name || !version || !sha256) throw new Error('the package index is incomplete')
  return { name, version, sha256, depends }
}
