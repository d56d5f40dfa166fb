import type { Finding } from '../../core/finding.ts'
import { count, type Info } from './info.ts'

/** The settings that INFO does not show. */
export const SETTINGS = ['appendfsync', 'save', 'min-replicas-to-write'] as const

/** What the settings of a server endanger; `info` is what INFO said. */
export function settingFindings(settings: Info, info: Info): Finding[] {
  return [...persistence(settings, info), ...writableReplicas(settings, info)]
}

function persistence(settings: Info, info: Info): Finding[] {
  if (info.get('aof_enabled') === '1') return appendOnly(settings)
  const points = settings.get('save') ?? ''
  return [
    {
      code: 'persistence',
      severity: 'warning',
      seen: `appendonly is no, save is ${points === '' ? 'empty' : `"${points}"`}.`,
      endangers:
        'A restart of the server forgets ' +
        (points === '' ? 'every lock' : 'the locks since the last save') +
        ': another holder may start before the first one is told.',
      advice:
        'Set appendonly to yes and appendfsync to always, or start the server again only after ' +
        'the longest ttl is over.',
    },
  ]
}

function appendOnly(settings: Info): Finding[] {
  const when = settings.get('appendfsync')
  if (when === 'always') return []
  return [
    {
      code: 'appendfsync',
      severity: when === 'no' ? 'warning' : 'note',
      seen: `appendfsync is ${when}.`,
      endangers:
        `A crash of the machine forgets the locks of the last ${when === 'no' ? 'half minute' : 'second'}` +
        ': another holder may start before the first one is told.',
      advice: 'Set appendfsync to always where that is not acceptable.',
    },
  ]
}

function writableReplicas(settings: Info, info: Info): Finding[] {
  const wanted = count(settings, 'min-replicas-to-write')
  const good = count(info, 'min_slaves_good_slaves')
  if (good >= wanted || info.get('role') !== 'master') return []
  return [
    {
      code: 'too-few-replicas',
      severity: 'danger',
      seen: `min-replicas-to-write is ${wanted}, and ${good} replicas are in step.`,
      endangers: 'The server refuses every write: no lock can be taken or renewed.',
      advice: 'Bring the replicas back, or lower min-replicas-to-write.',
    },
  ]
}
