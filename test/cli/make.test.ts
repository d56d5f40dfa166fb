import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Desk, has, main } from './support.ts'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.clear())

const holdfast = `"${process.execPath}" "${main}" run`

/** Two jobs that end only when both are under way; alone, each gives up after a while. */
const PAIR = `all: one two
one: OTHER = two
two: OTHER = one
one two:
	@touch $@; for i in $$(seq 400); do [ -e $(OTHER) ] && exit; sleep 0.05; done; exit 9
`

describe.runIf(has('make'))('the job server of make', () => {
  it.each(['pair', 'x'])('serves a make behind holdfast: %s', async (inner) => {
    writeFileSync(desk.file('pair.mk'), PAIR)
    // One in another hands it on as well.
    const within = inner === 'x' ? '' : `-- ${holdfast} y `
    writeFileSync(desk.file('Makefile'), `all:\n\t+@${holdfast} x ${within}-- $(MAKE) -f pair.mk\n`)
    // Without it the inner make warns and does one job at a time.
    const { code, err } = await desk.run('make', ['-j2'], { LC_ALL: 'C', MAKEFLAGS: '' }).end()
    expect({ code, err }).toEqual({ code: 0, err: '' })
  })

  it('has what each style of it needs behind holdfast', async () => {
    // A token is taken and given back, as a make does it.
    const take = (from: string, to: string): string =>
      `echo "$MAKEFLAGS"; head -c 1 <${from} && printf + >${to} && echo " back"`
    const pipe = `mkfifo p; exec 5<>p; printf + >&5; exec 3<p 4>p 5>&-
      MAKEFLAGS='-j2 --jobserver-auth=3,4' ${holdfast} x -c '${take('&3', '&4')}'; head -c 1 <&3`
    expect(await desk.run('bash', ['-c', pipe]).end()).toMatchObject({
      code: 0,
      out: '-j2 --jobserver-auth=3,4\n+ back\n+',
    })
    const fifo = `mkfifo q; exec 5<>q; printf + >&5
      MAKEFLAGS="-j2 --jobserver-auth=fifo:q" ${holdfast} x -c '${take('q', 'q')}'; head -c 1 <&5`
    expect(await desk.run('bash', ['-c', fifo]).end()).toMatchObject({
      code: 0,
      out: '-j2 --jobserver-auth=fifo:q\n+ back\n+',
    })
  })
})
