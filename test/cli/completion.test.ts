import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CATALOGUE } from '../../src/cli/catalogue.ts'
import { until } from '../support/until.ts'
import { Desk, has, main, type Run } from './support.ts'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.clear())

/** Names that shells have to quote. */
const NAMES = ['report daily', 'report:c d', "it's $5", 'say "hi"', 'solo']

/** Every one of them is held for as long as the test lasts. */
async function holdAll(): Promise<void> {
  const once = async (name: string): Promise<void> => {
    const { code } = await desk.holdfast(['run', '--min-hold', '1h', name, '--', 'true']).end()
    expect(code).toBe(0)
  }
  await Promise.all(NAMES.map(once))
}

/** In a shell: asks the real one for names, and shows what any other call was given. */
const SHOWS = `holdfast() {
  case $1 in
    list | completion) "${process.execPath}" "${main}" "$@" ;;
    *) printf 'got '; printf '<%s>' "$@"; echo ;;
  esac
}`

/** Types a line with tabs in it at a prompt, and gives what the shell made of it. */
async function typed(shell: Run, keys: string): Promise<string> {
  // Before that the terminal, and not the shell, would read it.
  await until(() => strip(shell.out).endsWith('> '), { what: 'the prompt' })
  const before = shell.out.length
  shell.type(`${keys}\n`)
  const answer = /^got (.*?)\r?$/m
  return await until(() => answer.exec(strip(shell.out.slice(before)))?.[1], {
    what: `the answer to ${keys}`,
  })
}

/** Without what moves the cursor and colours the line. */
function strip(text: string): string {
  return text.replace(/(?:\p{Cc}(?<![\r\n]))(?:\[[?>]?[\d;]*[a-zA-Z]|[=>])?/gu, '')
}

describe('completion for bash', () => {
  it('completes commands, options, locks and the command that is run', async () => {
    await holdAll()
    const { out } = await desk.holdfast(['completion', 'bash']).end()
    const script = `${out}
      ${SHOWS}
      try() { COMP_WORDS=(holdfast "$@"); COMP_CWORD=$#; _holdfast; echo "\${COMPREPLY[*]}"; }
      try el; try run --no; try show 'report\\ '; try completion f; try run x -- ech
      try run --wait ''
      # As bash breaks it: a word ends at a colon.
      COMP_LINE='holdfast show report:c'; try show report : c
      COMP_LINE='holdfast show report:'; try show report :
      COMP_LINE='holdfast run report:c --no'; try run report : c --no
      COMP_LINE='holdfast show report:c '; try show report : c ''`
    writeFileSync(desk.file('try.sh'), script)
    const tried = await desk.run('bash', ['--norc', desk.file('try.sh')]).end()
    expect(tried.err).toBe('')
    expect(tried.out.split('\n')).toEqual([
      'elect',
      '--nonblock',
      'report\\ daily',
      'fish',
      expect.stringMatching(/\becho\b/),
      '',
      'c\\ d',
      'c\\ d',
      '--nonblock',
      '',
      '',
    ])
  })

  it.skipIf(process.platform !== 'linux')('types what the shell reads as the name', async () => {
    await holdAll()
    writeFileSync(
      desk.file('rc'),
      `PS1='> '; bind 'set enable-bracketed-paste off'; bind 'set bell-style none'
      ${SHOWS}
      source <(holdfast completion bash); echo ready`,
    )
    const shell = desk.terminal(`bash --rcfile "${desk.file('rc')}" -i`)
    await until(() => shell.out.includes('ready'), { what: 'the shell' })
    for (const [keys, got] of [
      ['holdfast show "report d\t', '<show><report daily>'],
      ["holdfast show 'report:\t", '<show><report:c d>'],
      ['holdfast show "it\t', "<show><it's $5>"],
      ['holdfast show "sa\t', '<show><say "hi">'],
      ["holdfast show 'sa\t", '<show><say "hi">'],
      ['holdfast show report:\t', '<show><report:c d>'],
      ['holdfast show it\t', "<show><it's $5>"],
      ["holdfast run 'report daily' --nonb\t", '<run><report daily><--nonblock>'],
      ['holdfast run "report d\t-- printen\t', '<run><report daily><--><printenv>'],
    ] as const) {
      expect({ keys, got: await typed(shell, keys) }).toEqual({ keys, got })
    }
    shell.type('exit\n')
    await shell.end()
  })
})

describe.runIf(has('zsh'))('completion for zsh', () => {
  it('types what the shell reads as the name, and completes behind it', async () => {
    await holdAll()
    writeFileSync(
      desk.file('.zshrc'),
      `PS1='> '; unsetopt beep zle_bracketed_paste; unset zle_bracketed_paste
      autoload -Uz compinit; compinit -u -D
      ${SHOWS}
      source <(holdfast completion zsh); echo ready`,
    )
    const shell = desk.terminal('zsh -d -i', { ZDOTDIR: desk.folder })
    await until(() => shell.out.includes('ready'), { what: 'the shell' })
    for (const [keys, got] of [
      ['holdfast el\t', '<elect>'],
      ['holdfast show sol\t', '<show><solo>'],
      ['holdfast show "report d\t', '<show><report daily>'],
      ['holdfast show report:\t', '<show><report:c d>'],
      ['holdfast run solo --nonb\t', '<run><solo><--nonblock>'],
      ['holdfast run solo --label x --capac\t', '<run><solo><--label><x><--capacity>'],
      ['holdfast run -n solo -- printen\t', '<run><-n><solo><--><printenv>'],
      ['holdfast run solo -- ls --almost\t', '<run><solo><--><ls><--almost-all>'],
    ] as const) {
      expect({ keys, got: await typed(shell, keys) }).toEqual({ keys, got })
    }
    shell.type('exit\n')
    await shell.end()
  })
})

describe.runIf(has('fish'))('completion for fish', () => {
  it('completes commands, options, locks and the command that is run', async () => {
    await holdAll()
    const asked = [
      'el',
      'show so',
      'show "report d',
      'run solo --nonb',
      'run --label x so',
      'run solo so',
      'run solo -- printen',
      'run -n --label x solo -- ls --almost',
      'run solo -- ls --nonb',
      'completion f',
    ]
    const script = `function holdfast; "${process.execPath}" "${main}" $argv; end
      holdfast completion fish | source
      ${asked.map((line) => `echo (complete -C 'holdfast ${line}' | cut -f 1)`).join('\n')}`
    writeFileSync(desk.file('try.fish'), script)
    const tried = await desk.run('fish', [desk.file('try.fish')]).end()
    expect(tried.err).toBe('')
    expect(tried.out.split('\n')).toEqual([
      'elect',
      'solo',
      'report daily',
      '--nonblock',
      'solo',
      '',
      'printenv',
      '--almost-all',
      '',
      'fish',
      '',
    ])
  })
})

describe('completion', () => {
  it.each(['zsh', 'fish'])('for %s speaks of every command and option', async (shell) => {
    const { code, out } = await desk.holdfast(['completion', shell]).end()
    expect(code).toBe(0)
    for (const { name, options } of CATALOGUE) {
      expect(out).toMatch(new RegExp(`\\b${name}\\b`))
      for (const option of options) expect(out).toContain(option.name)
    }
    writeFileSync(desk.file('completions'), out)
    const read = spawnSync(shell, ['-n', desk.file('completions')])
    if (has(shell)) expect(read.stderr.toString()).toBe('')
  })

  it('wants a shell that it knows', async () => {
    const { code, err } = await desk.holdfast(['completion', 'tcsh']).end()
    expect({ code, err }).toEqual({
      code: 64,
      err: 'holdfast completion: name the shell: bash, zsh or fish.\n',
    })
  })
})
