import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isReady, items } from './objects.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const HAS_TMUX = spawnSync('tmux', ['-V']).status === 0

/** A real terminal, with a shell in it that outlives the program under test. */
class Terminal {
  readonly #socket = `ambient-test-${process.pid}`

  constructor(env: NodeJS.ProcessEnv, size: { columns: number; rows: number }) {
    this.#tmux(['-f', '/dev/null', 'new-session', '-d', '-x', String(size.columns), '-y', String(size.rows), 'sh'], env)
    this.#tmux(['set-option', '-g', 'status', 'off'])
    this.#tmux(['set-option', '-g', 'window-size', 'manual'])
  }

  run(command: string): void {
    this.#tmux(['send-keys', '-l', `PS1='$ '; clear; ${command}`])
    this.#tmux(['send-keys', 'Enter'])
  }

  press(...keys: string[]): void {
    for (const key of keys) this.#tmux(['send-keys', key])
  }

  type(text: string): void {
    this.#tmux(['send-keys', '-l', text])
  }

  resize(columns: number, rows: number): void {
    this.#tmux(['resize-window', '-x', String(columns), '-y', String(rows)])
  }

  get screen(): string {
    return this.#tmux(['capture-pane', '-p'])
  }

  /** The screen with the escape sequences that style it. */
  get styledScreen(): string {
    return this.#tmux(['capture-pane', '-p', '-e'])
  }

  /** Of the program that the shell runs. */
  get childPid(): number {
    const shell = this.#tmux(['display-message', '-p', '#{pane_pid}']).trim()
    return Number(readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').trim())
  }

  /** Whether the program left the terminal in its alternate screen. */
  get alternate(): boolean {
    return this.#tmux(['display-message', '-p', '#{alternate_on}']).trim() === '1'
  }

  /** Whether the shell has the terminal again: until then what is typed is the program's. */
  get shellWaits(): boolean {
    return this.#tmux(['display-message', '-p', '#{pane_current_command}']).trim() === 'sh'
  }

  close(): void {
    this.#tmux(['kill-server'])
  }

  #tmux(args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
    return execFileSync('tmux', ['-L', this.#socket, ...args], { encoding: 'utf8', env, cwd: ROOT })
  }
}

describe.skipIf(!HAS_TMUX)('in a real terminal (needs tmux)', () => {
  let lab: AmbientLab
  let terminal: Terminal

  beforeAll(async () => {
    lab = new AmbientLab()
    await lab.ok('up', 'demo', '--wait')
    terminal = new Terminal({ ...lab.env, TERM: 'xterm-256color', CI: 'true' }, { columns: 100, rows: 30 })
    await start()
  })

  afterAll(async () => {
    terminal?.close()
    await lab?.[Symbol.asyncDispose]()
  })

  async function start(): Promise<void> {
    terminal.run(`${process.execPath} apps/tui/bin/ambient.js tui`)
    await shows(/map\(all\)/)
  }

  const shows = (pattern: RegExp) => eventually(() => expect(terminal.screen).toMatch(pattern), { timeoutMs: 30_000 })

  async function goTo(view: string): Promise<void> {
    terminal.type(':')
    await shows(/^ :_/m)
    terminal.type(view)
    await shows(new RegExp(`^ :${view}_`, 'm'))
    terminal.press('Enter')
    await shows(new RegExp(`<${view}`))
  }

  test('survives a resize to 40×10 and back', async () => {
    terminal.resize(40, 10)
    await shows(/40x10 is too small/)
    terminal.resize(140, 40)
    await shows(/edges\[\d+\]/)
    expect(terminal.screen.split('\n')[0]!.length).toBeGreaterThan(100)
  })

  test('shows the nodes, adds one and removes it', async () => {
    await goTo('nodes')
    await shows(/n3 +ok/)
    terminal.type('a')
    await shows(/n4 +ok/)
    expect(await isReady(lab, 'n4')).toBe(true)
    terminal.press('G')
    terminal.press('C-d')
    await shows(/remove node n4/)
    terminal.type('y')
    await eventually(
      async () => expect((await items(lab, 'nodes')).map(({ metadata }) => metadata.name)).not.toContain('n4'),
      { timeoutMs: 30_000 },
    )
  })

  test('kills a node and restarts it', async () => {
    terminal.press('g')
    terminal.press('C-k')
    await shows(/kill -9 the agent of n1/)
    terminal.type('y')
    await shows(/n1 +GONE/)
    terminal.type('r')
    await shows(/n1 +ok/)
  })

  test('scales a workload', async () => {
    await goTo('workloads')
    terminal.type('/')
    await shows(/^ \/_/m)
    terminal.type('details')
    await shows(/^ \/details_/m)
    terminal.press('Enter')
    await shows(/\$ ambient get wl/)
    await shows(/details-v1-\S+ +n\d/)
    terminal.type('S')
    await shows(/scale deploy\/details-v1/)
    terminal.type('2')
    terminal.press('Enter')
    await shows(/workloads\(all\)\[2\]/)
    terminal.press('Escape')
  })

  test('injects a fault, shows it, heals it', async () => {
    await goTo('faults')
    terminal.type('a')
    await shows(/fault add link\.delay/)
    terminal.press('Enter')
    await shows(/link\.delay .* Active/)
    terminal.press('C-d')
    await eventually(async () => expect(await items(lab, 'faults')).toEqual([]), { timeoutMs: 30_000 })
  })

  test('starts a load and shows its numbers', async () => {
    await goTo('loads')
    terminal.type('a')
    await shows(/load run/)
    terminal.press('Enter')
    await eventually(async () => expect((await items(lab, 'loads', '-A')).length).toBeGreaterThan(1), {
      timeoutMs: 30_000,
    })
    await lab.ok('load', 'stop', '--all')
  })

  test('uses no colour under NO_COLOR, in no view', async () => {
    for (const view of ['map', 'nodes', 'workloads', 'services', 'connections', 'faults', 'loads', 'events']) {
      await goTo(view)
      // Bold, reverse and underline are left: from 30 on they are colours, but for 39 and 49, which end one.
      const styles = terminal.styledScreen
        .split('\u001b[')
        .flatMap((part) => /^([\d;]+)m/.exec(part)?.[1]?.split(';') ?? [])
      expect(styles.filter((style) => Number(style) >= 30 && style !== '39' && style !== '49')).toEqual([])
    }
  })

  test.each([
    ['its quit key', () => terminal.press('C-c')],
    ['TERM', () => process.kill(terminal.childPid, 'SIGTERM')],
  ])('ends at %s and leaves terminal, faults and processes clean', async (_, end) => {
    if (terminal.shellWaits) await start()
    await goTo('faults')
    terminal.type('a')
    await shows(/fault add link\.delay/)
    terminal.press('Enter')
    await shows(/link\.delay .* Active/)

    end()
    terminal.type('y') // the quit key asks, for there is a fault of this session; TERM does not wait for an answer
    await eventually(() => expect(terminal.shellWaits).toBe(true), { timeoutMs: 30_000 })
    expect(terminal.alternate).toBe(false)
    terminal.run('echo still "here"')
    await shows(/still here/)
    expect(terminal.screen).not.toMatch(/[│┌┐└┘─]/)
    expect((await items(lab, 'faults')).filter(({ status }) => status?.phase === 'Active')).toEqual([])
  })
})
