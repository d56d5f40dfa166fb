/** Makes an unpacked program runnable from wherever its folder is. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const UNUSED = [
  'usr/share/doc',
  'usr/share/man',
  'usr/share/locale',
  'usr/share/bash-completion',
  'usr/lib/x86_64-linux-gnu/gconv',
  'etc',
  'lib/systemd',
  'usr/lib/systemd',
]
const LIBRARIES = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu']

/**
 * Removes what a running server never reads.
 * @param {string} folder
 */
export async function tidy(folder) {
  for (const path of UNUSED) await rm(join(folder, 'root', path), { recursive: true, force: true })
}

/**
 * Writes `bin/<program>` and gives its path. A server runs on the libraries it was built for, so
 * that it starts on older and newer systems; it replaces the shell, so the process id is its own.
 * @param {string} folder
 * @param {string} program
 */
export async function launcher(folder, program) {
  if (program === 'postgres') return await postgresLaunchers(folder)
  const script = program === 'python3' ? pythonScript() : serverScript(folder, program)
  await mkdir(join(folder, 'bin'), { recursive: true })
  const bin = join(folder, 'bin', program)
  await writeFile(bin, script, { mode: 0o755 })
  if (program !== 'python3') {
    const cli = program.replace('-server', '-cli')
    await writeFile(join(folder, 'bin', cli), serverScript(folder, cli), { mode: 0o755 })
  }
  return bin
}

/**
 * PostgreSQL finds its files and its other programs by where it was started from, so the launchers
 * take the places of the programs.
 * @param {string} folder
 */
async function postgresLaunchers(folder) {
  const versions = join(folder, 'root/usr/lib/postgresql')
  const [version = ''] = await readdir(versions)
  const home = join(versions, version, 'bin')
  for (const program of ['initdb', 'postgres']) {
    await rename(join(home, program), join(home, `${program}.program`))
    const script = postgresScript(folder, program)
    await writeFile(join(home, program), script, { mode: 0o755 })
  }
  await mkdir(join(folder, 'bin'))
  // Links, not copies: a program looks where its link leads.
  for (const program of ['initdb', 'postgres']) {
    const target = join('../root/usr/lib/postgresql', version, 'bin', program)
    await symlink(target, join(folder, 'bin', program))
  }
  return join(folder, 'bin/postgres')
}

/**
 * @param {string} folder
 * @param {string} program
 */
function postgresScript(folder, program) {
  const root = join(folder, 'root')
  const loader = loaderIn(root)
  const path = LIBRARIES.map((library) => `$root/${library}`).join(':')
  return [
    '#!/bin/sh',
    'self=$(readlink -f "$0")',
    'here=${self%/*}',
    'root=${here%/usr/lib/postgresql/*}',
    `exec "$root/${loader}" --argv0 "$here/${program}" --library-path "${path}" \\`,
    `  "$here/${program}.program" "$@"`,
    '',
  ].join('\n')
}

/** @param {string} root */
function loaderIn(root) {
  const home = LIBRARIES.find((path) => existsSync(join(root, path, 'ld-linux-x86-64.so.2')))
  if (!home) throw new Error('the unpacked packages contain no program loader')
  return `${home}/ld-linux-x86-64.so.2`
}

function pythonScript() {
  return [
    '#!/bin/sh',
    'here=${0%/*}/../root',
    'PYTHONPATH="$here/usr/lib/python3/dist-packages${PYTHONPATH:+:$PYTHONPATH}" exec python3 "$@"',
    '',
  ].join('\n')
}

/**
 * @param {string} folder
 * @param {string} program
 */
function serverScript(folder, program) {
  const root = join(folder, 'root')
  const loader = loaderIn(root)
  const path = LIBRARIES.map((library) => `$here/${library}`).join(':')
  return [
    '#!/bin/sh',
    'here=${0%/*}/../root',
    `exec "$here/${loader}" --argv0 ${program} \\`,
    '  ${HOLDFAST_SERVER_PRELOAD:+--preload "$HOLDFAST_SERVER_PRELOAD"} \\',
    `  --library-path "${path}" "$here/usr/bin/${program}" "$@"`,
    '',
  ].join('\n')
}
