import { type CommandSpec, HELP_OPTION, jsonOption, URL_OPTION } from '../spec.ts'

export const LIST: CommandSpec = {
  name: 'list',
  summary: 'List the locks that are held.',
  usage: ['list [prefix] [options]'],
  about: [
    'Prints each held lock with its holder. Locks that come and go meanwhile may be missing.',
  ],
  options: [
    { name: 'names', text: 'Print the names only, one per line.' },
    URL_OPTION,
    jsonOption('each lock'),
    HELP_OPTION,
  ],
  examples: [
    { text: 'All that are held.', line: 'holdfast list' },
    {
      text: 'Those whose names start with report:, as JSON.',
      line: 'holdfast list report: --json',
    },
  ],
  completes: 'lock',
}

export const SHOW: CommandSpec = {
  name: 'show',
  summary: 'Show who holds a lock and who waits for it.',
  usage: ['show <name> [options]'],
  about: [
    'Prints the holders with host, process, time, fence and the life left of the lease, and the ' +
      'line of waiters. It changes nothing.',
  ],
  options: [URL_OPTION, jsonOption('the lock'), HELP_OPTION],
  examples: [
    { text: 'Who is it?', line: 'holdfast show report:daily' },
    {
      text: 'The fence of the holder, in a script.',
      line: "holdfast show report:daily --json | jq '.holders[0].fence'",
    },
  ],
  exits: [
    ['0', 'Somebody holds the lock or waits for it.'],
    ['1', 'Nobody does.'],
  ],
  completes: 'lock',
}

export const WATCH: CommandSpec = {
  name: 'watch',
  summary: 'Watch holders and waiters come and go.',
  usage: ['watch [name] [options]'],
  about: [
    'Redraws the locks, or one of them, until q or Ctrl-C. Where the output is no terminal, it ' +
      'prints a line at each change.',
  ],
  options: [
    {
      name: 'interval',
      value: 'time',
      text: 'Time between two looks: from 0.05 seconds, 0.5 by default.',
    },
    { name: 'prefix', value: 'text', text: 'Only locks whose names start with this.' },
    URL_OPTION,
    jsonOption('each lock at each change'),
    HELP_OPTION,
  ],
  examples: [
    { text: 'Everything that is held.', line: 'holdfast watch' },
    { text: 'One lock, into a file.', line: 'holdfast watch report:daily >> report.log' },
  ],
  completes: 'lock',
}

export const RELEASE: CommandSpec = {
  name: 'release',
  summary: 'Take a lock away from its holder.',
  usage: ['release <name> --force [options]'],
  about: [
    'Ends the leases of all holders and lets the next in line in. It says whose leases they ' +
      'are, and asks first. The holders learn it at their next renewal; until then they work on, ' +
      'so a resource should check the fence.',
  ],
  options: [
    { name: 'force', short: 'f', text: 'Needed: say that you mean it.' },
    { name: 'yes', short: 'y', text: 'Do not ask.' },
    URL_OPTION,
    jsonOption('what was released'),
    HELP_OPTION,
  ],
  examples: [
    { text: 'After a look at who holds it.', line: 'holdfast release report:daily --force' },
    { text: 'In a script.', line: 'holdfast release report:daily --force --yes' },
  ],
  exits: [
    ['0', 'The lock was released, or nobody held it.'],
    ['1', 'You said no.'],
  ],
  completes: 'lock',
}

export const DOCTOR: CommandSpec = {
  name: 'doctor',
  summary: 'Check whether the engine can keep its promises.',
  usage: ['doctor [options]'],
  about: [
    'Looks at the settings, version, permissions, clock and speed of the engine. Each finding ' +
      'says what it endangers and what to do.',
  ],
  options: [URL_OPTION, jsonOption('each finding'), HELP_OPTION],
  examples: [
    { text: 'The file on this machine.', line: 'holdfast doctor' },
    {
      text: 'A Redis; the password stays out of the list of processes.',
      line: 'HOLDFAST_URL="rediss://app:$PASSWORD@redis.example:6379" holdfast doctor',
    },
  ],
  exits: [
    ['0', 'Nothing endangers a promise.'],
    ['1', 'Something does.'],
  ],
}

export const COMPLETION: CommandSpec = {
  name: 'completion',
  summary: 'Print the completions for a shell.',
  usage: ['completion <bash|zsh|fish>'],
  about: ['Prints a script that lets the shell complete commands, options and names of locks.'],
  options: [HELP_OPTION],
  examples: [
    { text: 'In ~/.bashrc.', line: 'source <(holdfast completion bash)' },
    {
      text: 'For fish.',
      line: 'holdfast completion fish > ~/.config/fish/completions/holdfast.fish',
    },
  ],
  completes: ['bash', 'zsh', 'fish'],
}
