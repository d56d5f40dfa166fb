import { type CommandSpec, HELP_OPTION, jsonOption, type OptionSpec, URL_OPTION } from '../spec.ts'

/** What run and elect share: the lease, and how the command is kept and stopped. */
const LEASE_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'ttl',
    value: 'time',
    text:
      'Life of the lease, renewed while the command runs: from 1 second, 30 by default. ' +
      'A holder whose machine died keeps the lock for this long.',
  },
  {
    name: 'grace',
    value: 'time',
    text:
      'Between SIGTERM and SIGKILL when the command has to be stopped: at most half of ' +
      '--ttl plus --lock-delay; 5 seconds or a quarter of --ttl by default.',
  },
  {
    name: 'lock-delay',
    value: 'time',
    text: 'Keep others out for this long after a holder vanished without releasing.',
  },
]

const COMMAND_OPTIONS: readonly OptionSpec[] = [
  { name: 'command', short: 'c', value: 'line', text: 'Run a line of shell (/bin/sh) instead.' },
  { name: 'verbose', short: 'v', text: 'Tell on stderr when it waits, starts and ends.' },
  { name: 'quiet', short: 'q', text: 'Say nothing when the lock is not granted.' },
  URL_OPTION,
  { name: 'json', text: 'Tell what it tells on stderr as JSON, one object per line.' },
  HELP_OPTION,
]

export const RUN: CommandSpec = {
  name: 'run',
  summary: 'Run a command while holding a lock.',
  usage: ['run <name> [options] -- <command> [args]', "run <name> [options] -c '<shell line>'"],
  about: [
    'Waits in line for the lock, runs the command, releases the lock, and exits as the command ' +
      'did. Standard input, output and error are the command\u2019s own, as are other ' +
      'descriptors on Linux; signals are forwarded to it.',
    'The lease is renewed while the command runs. When it cannot be, a line on stderr says so, ' +
      'and the command and all processes it started are stopped before the lock can be ' +
      'anybody else\u2019s: SIGTERM, --grace, SIGKILL. A guardian process does the same when ' +
      'holdfast itself is killed or stopped.',
    'The command finds HOLDFAST_LOCK, HOLDFAST_HOLDER, HOLDFAST_FENCE and HOLDFAST_ENGINE in ' +
      'its environment.',
  ],
  options: [
    { name: 'nonblock', short: 'n', text: 'Do not wait: exit with 1 when the lock is taken.' },
    {
      name: 'wait',
      short: 'w',
      value: 'time',
      text: 'Wait at most this long, then exit with 75. Without it, as long as it takes.',
    },
    {
      name: 'conflict-exit-code',
      short: 'E',
      value: 'n',
      text: 'Exit with this code, 0 to 255, when --nonblock or --wait gave up.',
    },
    { name: 'shared', short: 's', text: 'Take the lock for reading: many may at a time.' },
    {
      name: 'exclusive',
      short: 'x',
      text: 'Take the lock for writing, against --shared. Without either: a plain mutex.',
    },
    { name: 'capacity', value: 'n', text: 'Make it a semaphore of n permits: n at a time.' },
    { name: 'permits', value: 'n', text: 'How many of them to take: 1 by default.' },
    ...LEASE_OPTIONS,
    {
      name: 'min-hold',
      value: 'time',
      text:
        'Keep the lock for at least this long, also after the command ended: ' +
        'once per period on one machine.',
    },
    {
      name: 'label',
      value: 'text',
      text: 'What others see of this holder; the name of the command by default.',
    },
    ...COMMAND_OPTIONS,
  ],
  examples: [
    {
      text: 'A nightly report on whichever machine comes first; the others leave at once.',
      line: 'holdfast run -n -E 0 --min-hold 1m report:daily -- ./report.sh',
    },
    {
      text: 'One deployment at a time, waiting for ten minutes at most.',
      line: 'holdfast run -w 10m "deploy production" -- make deploy',
    },
    {
      text: 'Four encoders at a time over all machines.',
      line: "holdfast run --capacity 4 encode -c 'ffmpeg -i in.mkv out.mp4 && rm in.mkv'",
    },
  ],
  exits: [['1', 'The lock is taken and --nonblock was given (-E changes it).']],
  completes: 'lock',
  runs: true,
}

export const ELECT: CommandSpec = {
  name: 'elect',
  summary: 'Run a command while being the leader.',
  usage: ['elect <name> [options] -- <command> [args]', "elect <name> [options] -c '<shell line>'"],
  about: [
    'Campaigns in the election, and runs the command once it leads. When the command ends, it ' +
      'resigns and exits as the command did. When leadership is lost, the command is stopped as ' +
      'with holdfast run; --again then campaigns anew.',
  ],
  options: [
    { name: 'note', value: 'text', text: 'What others learn of this leader, such as its address.' },
    { name: 'again', short: 'a', text: 'Campaign again after leadership was lost.' },
    {
      name: 'wait',
      short: 'w',
      value: 'time',
      text: 'Campaign at most this long, then exit with 75. Without it, as long as it takes.',
    },
    ...LEASE_OPTIONS,
    ...COMMAND_OPTIONS,
  ],
  examples: [
    {
      text: 'One scheduler at a time; the others stand by.',
      line: 'holdfast elect scheduler --note "$(hostname):8080" -- node scheduler.js',
    },
    {
      text: 'Stand for election for ever.',
      line: 'holdfast elect --again primary -- ./serve --as-primary',
    },
  ],
  completes: 'lock',
  runs: true,
}

export const BENCH: CommandSpec = {
  name: 'bench',
  summary: 'Measure this engine from this machine.',
  usage: ['bench [options]'],
  about: [
    'Takes and releases a lock of its own, first from one process, then handed over between ' +
      'two, and tells how long each takes and what it costs. Meant for a first impression: it ' +
      'takes some seconds, and other work on the machine shows.',
  ],
  options: [
    { name: 'seconds', value: 'n', text: 'How long each part lasts: 1 to 60, 2 by default.' },
    URL_OPTION,
    jsonOption('the result'),
    HELP_OPTION,
  ],
  examples: [
    { text: 'The file on this machine.', line: 'holdfast bench' },
    {
      text: 'A Redis, as JSON.',
      line: 'holdfast bench --url redis://localhost:6379 --json',
    },
  ],
}

/** Bounds that the help of the demo tells and its parser keeps. */
export const MOST_PROCESSES = 50
export const LONGEST_TASK_MS = 3_600_000

export const DEMO: CommandSpec = {
  name: 'demo',
  summary: 'Watch processes compete for one lock.',
  usage: ['demo [options]'],
  about: [
    'Real processes compete for one lock. Each tells what it does, and a timeline shows who held ' +
      'the lock when, and that one at a time held it.',
  ],
  options: [
    {
      name: 'processes',
      value: 'n',
      text: `How many processes compete: 1 to ${MOST_PROCESSES}, 5 by default.`,
    },
    {
      name: 'task-ms',
      value: 'ms',
      text: `Length of the task: 1 to ${LONGEST_TASK_MS}, 1200 by default.`,
    },
    {
      name: 'try',
      text:
        'Each process tries once, all at the same moment: one gets the lock, the others give up. ' +
        'The task lasts until the last of them has tried.',
    },
    {
      name: 'crash',
      text:
        'The first holder is killed in the middle of its task. Shows how the next one gets in, ' +
        "and how the fence stops the dead one's late write.",
    },
    {
      name: 'url',
      value: 'url',
      text:
        'Where the lock is kept, such as redis://host:6379; HOLDFAST_URL by default. Without ' +
        "either, in a SQLite file of the demo's own: only Node is needed.",
    },
    {
      name: 'redis',
      text:
        'Finds a Redis or Valkey: the one at localhost:6379, else a redis-server or ' +
        'valkey-server from PATH (or HOLDFAST_REDIS_SERVER) that is started for the demo and ' +
        'stopped after.',
    },
    { name: 'json', text: 'One JSON object per event and line; the last one is the summary.' },
    HELP_OPTION,
  ],
  notes: [
    'Colours and redrawing are for terminals; NO_COLOR or TERM=dumb turns them off.',
    'Each JSON line has a "type" and "atMs", milliseconds since the common start. The summary ' +
      'has the type "summary" and says: scene, lock, engine, processes, durationMs, interrupted, ' +
      'ok; granted and refused, how many processes got the lock and how many did not; ' +
      'completed, killed and failed, how many tasks ended well, died, went wrong; overlaps and ' +
      'maxConcurrentHolders, computed from the intervals, not asked of the lock; ' +
      'staleWritesRefused, writes that the fence stopped; intervals, who held the lock when, ' +
      'each with process, fence, fromMs, toMs and ending.',
  ],
  examples: [
    { text: 'Five processes, one after another, without any server.', line: 'holdfast demo' },
    {
      text: 'A holder that dies, on a Redis of yours.',
      line: 'holdfast demo --crash --processes 3 --redis',
    },
  ],
  exits: [
    ['0', 'Nobody overlapped and everybody got what was due.'],
    ['1', 'Otherwise.'],
    ['69', 'No place for the lock, or it cannot be used.'],
    ['128+n', 'Ended by signal n, as 130 after Ctrl-C; 141 when nobody reads its output.'],
  ],
}
