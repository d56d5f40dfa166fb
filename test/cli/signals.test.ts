import { readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../support/until.ts'
import { Desk, lives, main, type Run, read } from './support.ts'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.clear())

/** A command that writes its process id, then stays; `before` comes first. */
const stays = (before = ''): string => `${before} echo $$ > pid; while :; do sleep 0.05; done`

async function started(run: Run, name = 'pid'): Promise<number> {
  await until(() => desk.read(name).endsWith('\n'), { what: `${name} to be written` })
  expect(lives(Number(desk.read(name)))).toBe(true)
  return run.pid
}

/** All processes of the run have gone, its guardian included. */
async function nothingLeft(run: Run): Promise<void> {
  await until(() => run.processes().length === 0, { what: 'every process to be gone' })
  await until(() => !lives(Number(desk.read('pid'))), { what: 'the command to be gone' })
}

async function isFree(name: string): Promise<boolean> {
  return (await desk.holdfast(['show', name]).end()).code === 1
}

describe('signals to holdfast', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const)(
    '%s goes on to the command, which may handle it',
    async (signal) => {
      const trap = `trap 'echo ${signal}; exit 7' ${signal.slice(3)};`
      const run = desk.holdfast(['run', 'x', '-c', stays(trap)])
      await started(run)
      run.kill(signal)
      expect(await run.end()).toMatchObject({ code: 7, out: `${signal}\n` })
    },
  )

  it('end the command that does not handle them, and what it started', async () => {
    const run = desk.holdfast(['run', 'x', '-c', 'sleep 1000 & echo $$ > pid; wait'])
    await started(run)
    run.kill('SIGTERM')
    expect((await run.end()).code).toBe(143)
    await nothingLeft(run)
    expect(await isFree('x')).toBe(true)
  })

  it('reach the command of a holdfast within once', async () => {
    const count = `trap 'echo got >> got' TERM; trap 'exit 9' HUP;`
    const inner = [process.execPath, main, 'run', 'x', '-c', stays(count)]
    const run = desk.holdfast(['run', 'a', '--', ...inner])
    await started(run)
    run.kill('SIGTERM')
    await until(() => desk.read('got') !== '', { what: 'the signal to arrive' })
    run.kill('SIGHUP')
    expect((await run.end()).code).toBe(9)
    expect(desk.read('got')).toBe('got\n')
  })

  it('leave a command alone that ignores them', async () => {
    const run = desk.holdfast(['run', 'x', '-c', stays("trap '' TERM;")])
    await started(run)
    run.kill('SIGTERM')
    expect((await desk.holdfast(['run', '-n', 'x', '--', 'true']).end()).code).toBe(1)
    expect(lives(Number(desk.read('pid')))).toBe(true)
    process.kill(Number(desk.read('pid')), 'SIGKILL')
    expect((await run.end()).code).toBe(137)
  })

  it('end a wait, and leave no place in the line', async () => {
    const first = desk.holdfast(['run', 'x', '-c', stays()])
    await started(first)
    const second = desk.holdfast(['run', '-v', 'x', '--', 'touch', 'ran'])
    await until(() => second.err.includes('waiting'), { what: 'the second to wait' })
    second.kill('SIGTERM')
    expect((await second.end()).code).toBe(143)
    const { out } = await desk.holdfast(['show', '--json', 'x']).end()
    expect(JSON.parse(out)).toMatchObject({ held: true, waiting: 0 })
    expect(desk.has('ran')).toBe(false)
  })
})

describe('a holdfast that is killed', () => {
  it('takes its command along, and what that started', async () => {
    // One of them in a session of its own, one without a parent, one without the environment.
    const line = `setsid sh -c 'trap "" TERM; while :; do sleep 0.05; done' & (sleep 1000 &); (setsid sleep 1000 &)
      env -i sleep 1000 & ${stays()}`
    const run = desk.holdfast(['run', 'x', '--grace', '0.3', '-c', line])
    await started(run)
    await until(() => run.processes().length >= 6, { what: 'all of them to run' })
    const family = [...run.processes(), ...sleepers(desk)]
    run.kill('SIGKILL')
    expect(await run.end()).toMatchObject({ signal: 'SIGKILL' })
    await nothingLeft(run)
    expect(family.filter(lives)).toEqual([])
    expect(run.err).toContain(`holdfast (process ${run.pid}) was killed; the command is stopped.`)
  })

  it('keeps the next out until its command is gone', async () => {
    // What starts in the meantime is stopped as well, unless it ignores that.
    const trap = `trap '(trap "" TERM; sleep 2); echo gone > gone; exit' TERM;`
    const run = desk.holdfast(['run', 'x', '--grace', '3', '-c', stays(trap)])
    await started(run)
    const next = desk.holdfast(['run', 'x', '--verbose', '--', 'cat', 'gone'])
    await until(() => next.err.includes('waiting'), { what: 'the next to wait' })
    run.kill('SIGKILL')
    expect(await next.end()).toMatchObject({ code: 0, out: 'gone\n' })
  })

  it('lets its command end by itself within the grace', async () => {
    const run = desk.holdfast(['run', 'x', '-c', stays("trap 'echo bye > bye; exit' TERM;")])
    await started(run)
    run.kill('SIGKILL')
    await nothingLeft(run)
    expect(desk.read('bye')).toBe('bye\n')
  })

  it('gives the whole grace, and no more', async () => {
    // One needs most of it, the other much more; each tells how far it came.
    const trap = (turns: number, name: string): string => `trap 'echo term > ${name}.term
      for i in $(seq ${turns}); do sleep 0.1; done; echo done > ${name}.done; exit' TERM
      echo up > ${name}.up; while :; do sleep 0.05; done`
    writeFileSync(desk.file('slow.sh'), trap(12, 'slow'))
    writeFileSync(desk.file('slower.sh'), trap(200, 'slower'))
    const line = `bash slow.sh & bash slower.sh & ${stays("trap '' TERM;")}`
    const run = desk.holdfast(['run', 'x', '--grace', '4', '-c', line])
    await started(run)
    await until(() => desk.has('slow.up') && desk.has('slower.up'), { what: 'both to be up' })
    run.kill('SIGKILL')
    await nothingLeft(run)
    expect(['slow', 'slower'].map((name) => desk.has(`${name}.term`))).toEqual([true, true])
    expect(['slow', 'slower'].map((name) => desk.has(`${name}.done`))).toEqual([true, false])
  })

  it('kills a command that ignores SIGTERM', async () => {
    const run = desk.holdfast(['run', 'x', '--grace', '0.2', '-c', stays("trap '' TERM INT HUP;")])
    await started(run)
    run.kill('SIGKILL')
    await nothingLeft(run)
  })
})

describe('a holdfast that is stopped', () => {
  it('has its command stopped before the lease ends, and says so when it goes on', async () => {
    const run = desk.holdfast(['run', 'x', '--ttl', '2', '--grace', '0.2', '-c', stays()])
    await started(run)
    run.kill('SIGSTOP')
    await until(() => !lives(Number(desk.read('pid'))), { what: 'the command to be stopped' })
    expect(lives(run.pid)).toBe(true)
    run.kill('SIGCONT')
    expect((await run.end()).code).toBe(79)
    expect(run.err).toContain('does not renew the lease; the command is stopped.')
  })
})

describe.skipIf(process.platform !== 'linux')('in a terminal', () => {
  const program = `"${process.execPath}" "${main}"`

  /** Counts interrupts; a shell would run its trap once for two that come together. */
  const writeCounter = (): void => {
    writeFileSync(
      desk.file('counts.mjs'),
      `import { appendFileSync, writeFileSync } from 'node:fs'
      process.on('SIGINT', () => appendFileSync('ints', 'INT\\n'))
      process.on('SIGUSR1', () => process.exit(9))
      writeFileSync('pid', process.pid + '\\n')
      setInterval(() => {}, 1000)`,
    )
  }

  it('Ctrl-C reaches the command once', async () => {
    writeCounter()
    const run = desk.terminal(`${program} run x -- "${process.execPath}" counts.mjs`)
    await started(run)
    run.type('\u0003')
    await until(() => desk.read('ints') !== '', { what: 'the command to be interrupted' })
    // By way of holdfast, behind an interrupt that it might forward.
    const [holdfast] = run.processes().filter((pid) => titleOf(pid).includes('run\0x'))
    process.kill(Number(holdfast), 'SIGUSR1')
    expect((await run.end()).code).toBe(9)
    expect(desk.read('ints')).toBe('INT\n')
  })

  it('a signal by kill soon after a Ctrl-C is another one', async () => {
    writeCounter()
    const run = desk.terminal(`${program} run x -- "${process.execPath}" counts.mjs`)
    await started(run)
    const [holdfast] = run.processes().filter((pid) => titleOf(pid).includes('run\0x'))
    for (let turn = 1; turn <= 3; turn++) {
      const decoy = decoyOf(Number(holdfast))
      run.type('\u0003')
      const count = 2 * turn
      await until(() => desk.read('ints').length >= 4 * (count - 1), { what: 'the Ctrl-C' })
      await until(() => ![undefined, decoy].includes(decoyOf(Number(holdfast))), {
        what: 'the next decoy',
      })
      // A signal within hundredths of a second would be taken for a part of the same one.
      const afterMs = performance.now() + 60
      await until(() => performance.now() > afterMs, { what: 'a moment' })
      process.kill(Number(holdfast), 'SIGINT')
      await until(() => desk.read('ints').length >= 4 * count, { what: 'the kill' })
    }
    process.kill(Number(holdfast), 'SIGUSR1')
    expect((await run.end()).code).toBe(9)
    expect(desk.read('ints')).toBe('INT\n'.repeat(6))
  })

  it('a signal by kill to holdfast reaches the command once', async () => {
    writeFileSync(
      desk.file('counts.mjs'),
      `import { appendFileSync, writeFileSync } from 'node:fs'
      for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGTERM', 'SIGUSR2']) {
        process.on(signal, () => appendFileSync('got', signal + '\\n'))
      }
      process.on('SIGUSR1', () => process.exit(9))
      writeFileSync('pid', process.pid + '\\n')
      setInterval(() => {}, 1000)`,
    )
    // One in another: what one hands on the other must not.
    const run = desk.terminal(
      `${program} run a -- ${program} run x -- "${process.execPath}" counts.mjs`,
    )
    await started(run)
    const [outer] = run.processes().filter((pid) => titleOf(pid).includes('run\0a'))
    const told: string[] = []
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGTERM', 'SIGUSR2'] as const) {
      process.kill(Number(outer), signal)
      told.push(`${signal}\n`)
      await until(() => desk.read('got').length >= told.join('').length, { what: signal })
    }
    // To the whole group, as from a shell that ends a job.
    const group = Number(read(`/proc/${outer}/stat`).split(') ')[1]?.split(' ')[2])
    process.kill(-group, 'SIGTERM')
    await until(() => desk.read('got').length > told.join('').length, { what: 'the group' })
    told.push('SIGTERM\n')
    process.kill(Number(outer), 'SIGUSR1')
    expect((await run.end()).code).toBe(9)
    expect(desk.read('got')).toBe(told.join(''))
  })

  it('Ctrl-C ends the command, holdfast and the script around them', async () => {
    const script = `bash -c '${program} run x -- sh ./stays; echo on > on'`
    writeFileSync(desk.file('stays'), stays())
    const run = desk.terminal(script)
    await started(run)
    run.type('\u0003')
    expect((await run.end()).code).toBe(130)
    expect(desk.has('on')).toBe(false)
    await nothingLeft(run)
    expect(await isFree('x')).toBe(true)
  })

  it('SIGTERM to holdfast reaches all of the command and nobody else', async () => {
    const line = `${program} run x -c 'sleep 1000 & echo $! > near; echo $$ > pid; wait' | cat`
    const run = desk.terminal(line)
    await started(run)
    const [holdfast] = run.processes().filter((pid) => titleOf(pid).includes('run\0x'))
    process.kill(Number(holdfast), 'SIGTERM')
    // The reader at the end of the pipeline sees its end, and is not killed.
    expect((await run.end()).code).toBe(0)
    expect([desk.read('pid'), desk.read('near')].map(Number).filter(lives)).toEqual([])
  })

  it('the command reads from it and knows it as a terminal', async () => {
    const line = 'test -t 0 && test -t 1 && read answer && echo "got $answer" && cat > /dev/tty'
    const run = desk.terminal(`${program} run x -c '${line}'`)
    run.type('forty-two\n')
    await until(() => run.out.includes('got forty-two'), { what: 'the answer' })
    run.type('\u0004')
    expect((await run.end()).code).toBe(0)
  })

  it('Ctrl-Z stops the job, and fg goes on with it', async () => {
    const run = desk.terminal("PS1='ready> ' bash --norc -i")
    await until(() => run.out.includes('ready> '), { what: 'the shell' })
    run.type(`${program} run x -c '${stays('trap "echo here; exit 5" USR1;')}'\n`)
    await started(run)
    run.type('\u001a')
    await until(() => /Stopped/.test(run.out), { what: 'the job to be stopped' })
    run.type('fg\n')
    const pid = Number(desk.read('pid'))
    await until(() => /^State:\s+[SR]/m.test(stateOf(pid)), { what: 'the command to go on' })
    process.kill(pid, 'SIGUSR1')
    await until(() => run.out.includes('here'), { what: 'the command to end' })
    run.type('echo "code $?"; exit\n')
    await run.end()
    expect(run.out).toContain('code 5')
  })

  it('SIGKILL of holdfast takes the command along and leaves the rest of the pipeline', async () => {
    const line = `${program} run x -c '${stays()}' | (cat; echo $BASHPID > rest; exec sleep 1000)`
    const run = desk.terminal(`bash -c "${line.replaceAll('"', '\\"').replaceAll('$', '\\$')}"`)
    await started(run)
    const [holdfast] = run.processes().filter((pid) => titleOf(pid).includes('run\0x'))
    process.kill(Number(holdfast), 'SIGKILL')
    await until(() => !lives(Number(desk.read('pid'))), { what: 'the command to be gone' })
    await until(() => desk.read('rest') !== '', { what: 'the rest to go on' })
    expect(lives(Number(desk.read('rest')))).toBe(true)
  })
})

function stateOf(pid: number): string {
  return read(`/proc/${pid}/status`)
}

/** The process that tells holdfast whether its whole group got a signal. */
function decoyOf(holdfast: number): number | undefined {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => {
      const [parent] = /(?<=^PPid:\s+)\d+/m.exec(stateOf(pid)) ?? []
      return Number(parent) === holdfast && titleOf(pid) === 'cat\0'
    })
}

function titleOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`)
}

/** Processes that work in the folder of a desk, whatever their environment says. */
function sleepers({ folder }: Desk): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`) === folder
      } catch {
        return false
      }
    })
    .map(Number)
}
