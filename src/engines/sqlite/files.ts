import { readFileSync, statfsSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { show } from '../../core/options.ts'
import { fileError } from './failure.ts'

/** Where locks are kept when no path is given: in the user's state directory. */
export function defaultPath(
  platform: string = process.platform,
  env: Readonly<Record<string, string | undefined>> = process.env,
  homes: readonly (() => string)[] = [homedir, () => userInfo().homedir],
): string {
  const tail = ['holdfast', 'locks.db'] as const
  if (platform === 'win32') {
    return join(env['LOCALAPPDATA'] ?? join(homeOf(homes), 'AppData', 'Local'), ...tail)
  }
  if (platform === 'darwin') return join(homeOf(homes), 'Library', 'Application Support', ...tail)
  const state = env['XDG_STATE_HOME']
  // A relative path there must be ignored, says the convention.
  const base = state?.startsWith('/') === true ? state : join(homeOf(homes), '.local', 'state')
  return join(base, ...tail)
}

/** A relative home, as of an empty HOME, would be another folder for each working directory. */
function homeOf(homes: readonly (() => string)[]): string {
  let cause: unknown
  for (const ask of homes) {
    try {
      const home = ask()
      if (isAbsolute(home)) return home
    } catch (error) {
      cause = error
    }
  }
  throw fileError(
    'connect',
    'no path was given, and this user has no home directory; give the path of a file, such as ' +
      'sqlite:/var/lib/jobs/locks.db, or set HOME',
    { cause },
  )
}

/** The absolute path that a path or a `sqlite:` URL means. Nothing in it is percent-decoded. */
export function readPath(given: unknown): string {
  if (typeof given !== 'string') throw new TypeError(`path must be a string, got ${show(given)}.`)
  const path = given.replace(/^sqlite:(\/\/(?=\/|$))?/i, '')
  if (path === '') return defaultPath()
  if (path.includes('\0')) throw new RangeError(`path must not hold NUL, got ${show(given)}.`)
  if (path === ':memory:' || /^(file|sqlite):/i.test(path) || path.startsWith('//')) {
    throw new RangeError(
      `path must be a path of a file such as ./locks.db, got ${show(given)}. ` +
        'For locks within one process use memory:.',
    )
  }
  return resolve(path)
}

/** Magic numbers of statfs(2). */
const NETWORK_MAGIC: Readonly<Record<number, string>> = {
  0x6969: 'nfs',
  0x517b: 'smb',
  0xfe534d42: 'smb2',
  0xff534d42: 'cifs',
  0x01021997: '9p',
  0x5346414f: 'afs',
  0x73757245: 'coda',
  0x00c36400: 'ceph',
  0x0bd00bd0: 'lustre',
  0x47504653: 'gpfs',
  0x01161970: 'gfs2',
  0x7461636f: 'ocfs2',
}

const NETWORK_NAMES: ReadonlySet<string> = new Set(
  (
    'nfs nfs4 cifs smb smb2 smb3 smbfs 9p afs coda ceph lustre gpfs gfs2 ocfs2 virtiofs vboxsf ' +
    'vmhgfs prl_fs fuse.sshfs fuse.rclone fuse.s3fs fuse.gcsfuse fuse.glusterfs fuse.ceph ' +
    'fuse.ceph-fuse fuse.davfs fuse.davfs2 fuse.curlftpfs fuse.vmhgfs-fuse fuse.osxfs ' +
    'fuse.grpcfuse fuse.juicefs fuse.mfs'
  ).split(' '),
)

/** The type of the network file system a folder is on; `undefined` when it is on none. */
export function networkType(
  folder: string,
  mounts: string = readMounts(),
  magic: number | undefined = statfsMagic(folder),
): string | undefined {
  if (process.platform === 'win32') return folder.startsWith('\\\\') ? 'UNC path' : undefined
  if (process.platform === 'linux') {
    const byMagic = magic === undefined ? undefined : NETWORK_MAGIC[magic]
    if (byMagic !== undefined) return byMagic
  }
  const type = mountType(folder, mounts)
  return type !== undefined && NETWORK_NAMES.has(type) ? type : undefined
}

/** The last mount with the longest mount point above the folder is the one that counts. */
export function mountType(folder: string, mounts: string = readMounts()): string | undefined {
  let best = -1
  let type: string | undefined
  for (const mount of parse(mounts)) {
    const { point } = mount
    const above = point === '/' || folder === point || folder.startsWith(`${point}/`)
    if (!above || point.length < best) continue
    best = point.length
    type = mount.type
  }
  return type
}

/** Whether something is mounted at this very path. */
export function isMountPoint(path: string, mounts: string = readMounts()): boolean {
  return parse(mounts).some(({ point }) => point === path)
}

function parse(mounts: string): { readonly point: string; readonly type: string | undefined }[] {
  return mounts.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const point = before.split(' ')[4]
    if (point === undefined) return []
    const octal = /\\(\d{3})/g
    const character = (_: string, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))
    return [{ point: point.replace(octal, character), type: after.split(' ')[0] }]
  })
}

function readMounts(): string {
  try {
    return process.platform === 'linux' ? readFileSync('/proc/self/mountinfo', 'utf8') : ''
  } catch {
    return ''
  }
}

function statfsMagic(folder: string): number | undefined {
  try {
    // Some systems give the number with a sign.
    return statfsSync(folder).type >>> 0
  } catch {
    return undefined
  }
}
