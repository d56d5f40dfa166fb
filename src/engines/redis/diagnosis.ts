import type { Clock } from '../../core/clock.ts'
import type { Expectations, Finding } from '../../core/finding.ts'
import { systemRandom, wallMicros } from '../../system/clock.ts'
import { clusterFindings, serverFindings } from './diagnosis-server.ts'
import { SETTINGS, settingFindings } from './diagnosis-settings.ts'
import { type Info, readInfo } from './info.ts'
import { isPartOfLock, lockKeys } from './keys.ts'
import { RedisFailure, type RedisPort, type Reply } from './port.ts'
import { allOf } from './recipes.ts'
import type { ReplicaSettings } from './replicas.ts'
import { number, text } from './replies.ts'
import { permissions } from './scripts.generated.ts'

/** What the engine lets the diagnosis use. */
export interface Surroundings {
  readonly port: RedisPort
  readonly prefix: string
  readonly channel: string
  readonly commandTimeoutMs: number
  readonly clock: Clock
  /** What the engine asks replicas for, if anything. */
  readonly replicas: ReplicaSettings | undefined
}

/** One server among those that share the keys. */
interface Spot extends Surroundings {
  /** As the port names it: empty where there is only one. */
  readonly server: string
}

/** More than this cannot be explained by the way there and back. */
const CLOCKS_APART_MS = 30_000

/** A command must be able to take this many times as long as it did. */
const COMFORTABLE = 3

/** Keys that are looked at where the whole database may be full of other things. */
const SAMPLE = 50

/** Kinds of failure that say that the question was not answered, and not that nobody is there. */
const REFUSALS: readonly RedisFailure['kind'][] = ['permission', 'other', 'noscript', 'unavailable']

/** Names that are tried to find one whose lock a server serves, however few slots it has. */
const MOST_NAMES = 20_000

/** Looks at every server. Rejects with `RedisFailure` when none of them answers. */
export async function diagnoseServers(
  around: Surroundings,
  expected: Expectations,
): Promise<readonly Finding[]> {
  const { port, commandTimeoutMs: timeoutMs } = around
  const servers = await port.servers({ timeoutMs })
  const looks = await Promise.allSettled(
    servers.map((server) => diagnoseServer({ ...around, server }, expected)),
  )
  const failed = looks.filter((look) => look.status === 'rejected')
  if (failed.length === looks.length) throw failed[0]?.reason as Error
  const told = looks.map((look) => {
    if (look.status === 'fulfilled') return look.value
    // Others answer, so it is not this process; but one that is closing hears nobody.
    return expected.quick ? [] : [silent(look.reason)]
  })
  return servers.length === 1 ? told.flat() : byServer(servers, told)
}

/** Says whom each finding is about, and says once what is found on several. */
function byServer(
  servers: readonly string[],
  told: readonly (readonly Finding[])[],
): readonly Finding[] {
  const groups = new Map<string, { finding: Finding; found: string[] }>()
  for (const [at, findings] of told.entries()) {
    for (const finding of findings) {
      const same = JSON.stringify(finding)
      const group = groups.get(same) ?? { finding, found: [] }
      group.found.push(servers[at] ?? '')
      groups.set(same, group)
    }
  }
  return [...groups.values()].map(({ finding, found }) => ({
    ...finding,
    seen: `On ${found.join(', ')}: ${finding.seen}`,
  }))
}

function silent(failure: unknown): Finding {
  if (!(failure instanceof RedisFailure)) throw failure
  return {
    code: 'unreachable',
    severity: 'danger',
    seen: failure.message,
    endangers: 'Its locks cannot be taken, and leases that cannot be renewed there are lost.',
    advice: 'Check that this primary runs and can be reached from here.',
  }
}

async function diagnoseServer(around: Spot, { quick }: Expectations): Promise<Finding[]> {
  const server = new Inquiry(around)
  const info = readInfo(text((await server.ask('INFO', 'info')) ?? ''))
  const findings = serverFindings(info, around.port.topology, around.replicas?.min)
  if (quick) return findings
  if (info.get('cluster_enabled') === '1') {
    const reply = await server.ask('CLUSTER INFO', 'cluster', 'info')
    findings.push(...clusterFindings(readInfo(text(reply ?? ''))))
  }
  const settings = await settingsOf(server)
  if (settings !== undefined && info.size > 0) findings.push(...settingFindings(settings, info))
  findings.push(...(await clockFindings(server)))
  findings.push(...(await permissionFindings(server, around)))
  if (around.prefix === '') findings.push(...(await keyspaceFindings(server, around)))
  return [...findings, ...latency(server.slowestMs, around), ...server.unanswered()]
}

/** Asks, and remembers what the server refused to say. */
class Inquiry {
  readonly #around: Spot
  readonly #refused: string[] = []
  slowestMs = 0

  constructor(around: Spot) {
    this.#around = around
  }

  /** The answer, or `null` when the server refuses to give one. */
  async ask(title: string, command: string, ...args: readonly (string | number)[]): Promise<Reply> {
    try {
      return await this.send(command, args)
    } catch (error) {
      if (!(error instanceof RedisFailure) || !REFUSALS.includes(error.kind)) throw error
      this.#refused.push(`${title} (${error.message})`)
      return null
    }
  }

  /** `key` is the one that stands in the arguments, if any does. */
  async send(command: string, args: readonly (string | number)[], key?: string): Promise<Reply> {
    const { port, clock, server, commandTimeoutMs: timeoutMs } = this.#around
    const sentAt = clock.now()
    const routing = { timeoutMs, server, ...(key === undefined ? {} : { key }) }
    const reply = await port.command(command, args, routing)
    this.slowestMs = Math.max(this.slowestMs, clock.now() - sentAt)
    return reply
  }

  unanswered(): Finding[] {
    if (this.#refused.length === 0) return []
    return [
      {
        code: 'not-checked',
        severity: 'note',
        seen: `The server does not answer ${this.#refused.join(', ')}.`,
        endangers: 'Some dangers cannot be seen from here.',
        advice: 'Run diagnose() as a user that may ask, or check the settings by hand.',
      },
    ]
  }
}

async function settingsOf(server: Inquiry): Promise<Info | undefined> {
  const settings = new Map<string, string>()
  for (const name of SETTINGS) {
    const reply = await server.ask('CONFIG GET', 'config', 'get', name)
    if (reply === null) return undefined
    const [, value] = reply as readonly Reply[]
    if (value !== undefined) settings.set(name, text(value))
  }
  return settings
}

async function clockFindings(server: Inquiry): Promise<Finding[]> {
  const before = wallMicros()
  const reply = await server.ask('TIME', 'time')
  const after = wallMicros()
  if (reply === null) return []
  const [seconds, micros] = reply as readonly Reply[]
  const serverUs = number(seconds) * 1_000_000 + number(micros)
  // Between the two readings nothing is known.
  const apartMs = Math.max(before - serverUs, serverUs - after, 0) / 1000
  if (apartMs < CLOCKS_APART_MS) return []
  return [
    {
      code: 'clock',
      severity: 'warning',
      seen: `The clocks of the server and of this machine are ${Math.round(apartMs)} ms apart.`,
      endangers:
        'When the clock of the server is set right, leases end early or last longer, and a fence ' +
        'that was forgotten may be drawn again.',
      advice: 'Let both keep their time by NTP.',
    },
  ]
}

/** Calls what the scripts call, on a lock of a name that nobody has. */
async function permissionFindings(server: Inquiry, around: Spot): Promise<Finding[]> {
  const { prefix, channel, port } = around
  const name = nameServedBy(around)
  // It lost its slots a moment ago: there is no lock of it left to look at.
  if (name === undefined) return []
  const keys = allOf(lockKeys(prefix, name, port.keyPrefix))
  const [lock = ''] = keys
  const heard = port.channelFor(`${channel}:diagnosis`, lock)
  const args = [permissions.source, keys.length, ...keys, heard]
  try {
    const reply = (await server.send('eval', args, lock)) as readonly Reply[]
    return lacking(reply.map(text))
  } catch (error) {
    if (!(error instanceof RedisFailure) || !REFUSALS.includes(error.kind)) throw error
    // Others are told by the trial, which every caller of this makes.
    return error.kind === 'permission' ? lacking(['EVAL', error.message]) : []
  }
}

/** A name that nobody has, of a lock that this server would serve. */
function nameServedBy({ port, prefix, server }: Spot): string | undefined {
  for (let tries = 0; tries < MOST_NAMES; tries += 1) {
    const name = `holdfast-diagnosis:${systemRandom.identity()}`
    if (port.serverOf(prefix + name) === server) return name
  }
  return undefined
}

/** From pairs of a command and what was said about it. */
function lacking(told: readonly string[]): Finding[] {
  const pairs = told.flatMap((each, at) =>
    at % 2 === 0 ? [[each, told[at + 1] ?? ''] as const] : [],
  )
  const missing = pairs.filter(([, said]) => /unknown/i.test(said))
  const denied = pairs.filter((pair) => !missing.includes(pair))
  const names = (some: typeof pairs): string => some.map(([command]) => command).join(', ')
  const endangers = 'Locks cannot be taken, handed over or released.'
  return [
    ...finding(denied, {
      code: 'permission',
      severity: 'danger',
      seen: `The user may not call ${names(denied)} (${denied[0]?.[1]}).`,
      endangers,
      advice: 'Add them to the ACL rules of the user, for all keys of locks and for its channel.',
    }),
    ...finding(missing, {
      code: 'missing-command',
      severity: 'danger',
      seen: `The server does not know ${names(missing)}.`,
      endangers,
      advice: 'Undo the rename-command of the server, or use a server that has them.',
    }),
  ]
}

function finding(reasons: readonly unknown[], one: Finding): Finding[] {
  return reasons.length > 0 ? [one] : []
}

/** Without a prefix, a lock may have the name of a key that is something else. */
async function keyspaceFindings(server: Inquiry, { port }: Spot): Promise<Finding[]> {
  const pattern = port.keyPrefix === '' ? [] : ['match', `${port.keyPrefix}*`]
  const reply = await server.ask('SCAN', 'scan', '0', ...pattern, 'count', SAMPLE)
  if (reply === null) return []
  const [, keys] = reply as readonly [Reply, readonly Reply[]]
  const own = keys.map((key) => text(key).slice(port.keyPrefix.length))
  const foreign: string[] = []
  for (const key of own.filter((each) => !isPartOfLock(each)).slice(0, SAMPLE)) {
    const type = await server.send('type', [key], key)
    // A string may be a lock that another program took with the plain recipe.
    if (type !== 'string' && type !== 'none') foreign.push(key)
  }
  return finding(foreign, {
    code: 'shared-keyspace',
    severity: 'note',
    seen: `prefix is empty, and the database holds keys that are no locks, such as ${JSON.stringify(foreign[0])}.`,
    endangers: 'A lock of that name cannot be taken; another program may overwrite a lock.',
    advice: 'Use a prefix, or a database for locks alone.',
  })
}

function latency(slowestMs: number, { commandTimeoutMs }: Spot): Finding[] {
  if (slowestMs * COMFORTABLE <= commandTimeoutMs) return []
  return [
    {
      code: 'command-latency',
      severity: 'warning',
      seen: `A command took ${Math.ceil(slowestMs)} ms; commandTimeoutMs is ${commandTimeoutMs}.`,
      endangers: 'Commands are given up although the server works, and are sent again.',
      advice: 'Raise commandTimeoutMs, and ttlMs with it.',
    },
  ]
}
