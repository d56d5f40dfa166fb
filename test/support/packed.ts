import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Manifest {
  readonly version: string
  readonly exports: Record<string, unknown>
  readonly scripts: Record<string, string>
  readonly dependencies: Record<string, string>
  readonly peerDependencies: Record<string, string>
}

export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest

/** What a user may import. */
export const doors = Object.keys(manifest.exports)
  .filter((subpath) => subpath !== './package.json')
  .map((subpath) => subpath.replace(/^\./, 'holdfast'))

/** Doors that cannot be opened without an optional peer. */
export const peers: Readonly<Record<string, string>> = {
  'holdfast/opentelemetry': '@opentelemetry/api',
}

/** The environment of a user: nothing that npm and the test runner set for this project. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const ours = /^(npm_(package|lifecycle|config_local_prefix)|VITEST|NODE_OPTIONS|NODE_ENV|CI$)/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)))
}

/** Runs a program to its end and gives what it wrote; throws when it failed. */
export function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: cleanEnvironment(),
    timeout: 150_000,
  })
  if (error) throw error
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${status}\n${stdout}\n${stderr}`)
  return stdout
}

export interface Packed {
  readonly tarball: string
  /** Bytes of the tarball, and of what it unpacks to. */
  readonly size: number
  readonly unpackedSize: number
  readonly files: readonly string[]
}

/** Packs dist/ as it would be published, into the folder. */
export function pack(folder: string, source = root): Packed {
  if (!existsSync(join(source, 'dist'))) throw new Error('dist/ is missing: run `npm run build`')
  const [report] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], source),
  ) as { filename: string; size: number; unpackedSize: number; files: { path: string }[] }[]
  if (!report) throw new Error('npm pack reported nothing')
  const { filename, size, unpackedSize, files } = report
  return {
    tarball: join(folder, filename),
    size,
    unpackedSize,
    files: files.map(({ path }) => path),
  }
}

/** Installs the tarball into a new project of its own, in the folder. */
export function installAlone(tarball: string, folder: string): void {
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{ "name": "alone", "private": true }\n')
  run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball], folder)
}
