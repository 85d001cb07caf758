import { type Clock, Emitter, unreachable } from '@ambient-lab/std'
import type { LabModel } from '../model/lab-model.ts'
import { type GlobalKeyId, globalBinding } from './keymap.ts'
import { type Action, currentView, initialState, openOutput, type Prompt, reduce, type UiState } from './navigation.ts'
import { viewById, viewByName } from './registry.ts'
import type { Effect, ViewContext, ViewDefinition } from './view.ts'

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs one `ambient` command, as the person's own shell would. */
export type RunCommand = (argv: readonly string[]) => Promise<CommandResult>

export interface ShellInit {
  readonly run: RunCommand
  readonly clock: Clock
  readonly model: () => LabModel
  readonly view?: string
  readonly namespace?: string
  /** Rows of the terminal, for pages. */
  readonly rows: () => number
  /** Gives the text to the terminal's clipboard. */
  readonly copy: (text: string) => void
}

const MESSAGE_MS = 5000

/**
 * The screen's behaviour without the screen: keys in, state out. Views decide what a key means (an Effect), the shell
 * carries it out; everything that changes the lab is an `ambient` command, listed under `@`.
 */
export class Shell {
  readonly changed = new Emitter<UiState>()
  readonly #init: ShellInit
  #state: UiState
  #cancelMessage: () => void = () => {}

  constructor(init: ShellInit) {
    this.#init = init
    this.#state = initialState(init.view, init.namespace)
  }

  get state(): UiState {
    return this.#state
  }

  get view(): ViewDefinition {
    return viewById(currentView(this.#state).id) ?? viewById('map')!
  }

  /** @param key as `key-name.ts` spells it; @param text what was typed, for prompts */
  press(key: string, text: string): void {
    if (this.#state.prompt) return this.#pressInPrompt(this.#state.prompt, key, text)
    const own = this.view.keys.find(({ keys }) => keys.includes(key))
    if (own) {
      if (own.danger && this.#state.readOnly) return this.#say('WARN', 'read-only: ctrl-t turns it off')
      const effect = own.act(this.#context())
      if (effect) this.#perform(effect)
      return
    }
    const binding = globalBinding(key, this.view)
    if (binding) this.#pressGlobal(binding, key)
  }

  #context(): ViewContext {
    return { model: this.#init.model(), ui: this.#state, view: currentView(this.#state) }
  }

  #dispatch(action: Action): void {
    this.#state = reduce(this.#state, action)
    this.changed.emit(this.#state)
  }

  #pressGlobal(binding: GlobalKeyId, key: string): void {
    switch (binding) {
      case 'goto':
        return this.#prompt({ kind: 'goto', text: '' })
      case 'filter':
        return this.#prompt({ kind: 'filter', text: currentView(this.#state).filter })
      case 'compose':
        return this.#prompt({ kind: 'command', text: '' })
      case 'back':
        return this.#dispatch({ type: 'back' })
      case 'leave':
        return this.#leave()
      case 'quit':
        return this.#quit()
      case 'previous':
        return this.#dispatch({ type: 'previous' })
      case 'history-back':
        return this.#dispatch({ type: 'historyBack' })
      case 'history-forward':
        return this.#dispatch({ type: 'historyForward' })
      case 'down':
        return this.#move(1)
      case 'up':
        return this.#move(-1)
      case 'top':
        return this.#move(Number.NEGATIVE_INFINITY)
      case 'bottom':
        return this.#move(Number.POSITIVE_INFINITY)
      case 'page-down':
        return this.#move(this.#page())
      case 'page-up':
        return this.#move(-this.#page())
      case 'namespace':
        return this.#chooseNamespace(Number(key))
      case 'sort-left':
        return this.#sort(-1)
      case 'sort-right':
        return this.#sort(1)
      case 'wide':
        return this.#dispatch({ type: 'toggle', what: 'wide' })
      case 'problems':
        return this.#dispatch({ type: 'toggle', what: 'problemsOnly' })
      case 'freeze':
        return this.#dispatch({ type: 'toggle', what: 'frozen' })
      case 'header':
        return this.#dispatch({ type: 'toggle', what: 'headerHidden' })
      case 'crumbs':
        return this.#dispatch({ type: 'toggle', what: 'crumbsHidden' })
      case 'read-only':
        return this.#dispatch({ type: 'toggle', what: 'readOnly' })
      case 'aliases':
        return this.#dispatch({ type: 'go', view: 'aliases' })
      case 'commands':
        return this.#dispatch({ type: 'go', view: 'commands' })
      case 'help':
        return this.#dispatch({ type: 'go', view: 'help', subject: this.view.id })
      case 'copy-command':
        return this.#copy(this.view.command(this.#context()))
      case 'heal-all':
        return this.#healAll()
      default:
        return unreachable(binding, 'key')
    }
  }

  #prompt(prompt: Prompt | undefined): void {
    this.#dispatch({ type: 'prompt', prompt })
  }

  #pressInPrompt(prompt: Prompt, key: string, text: string): void {
    if (key === 'ctrl-c' && prompt.kind === 'quit') return this.#dispatch({ type: 'exit' })
    if (key === 'esc' || key === 'ctrl-c') return this.#prompt(undefined)
    if (prompt.kind === 'confirm' || prompt.kind === 'quit') return this.#answer(prompt, key)
    if (key === 'enter') return this.#submit(prompt)
    if (key === 'tab' && prompt.kind === 'goto')
      return this.#prompt({ ...prompt, text: viewByName(prompt.text)?.names[0] ?? prompt.text })
    const edited =
      key === 'backspace' ? prompt.text.slice(0, -1) : key === 'ctrl-u' ? '' : prompt.text + firstLine(text)
    if (text.includes('\n') || text.includes('\r')) this.#say('WARN', 'only the first line was taken')
    this.#prompt({ ...prompt, text: edited })
    if (prompt.kind === 'filter') this.#dispatch({ type: 'filter', text: edited })
  }

  #answer(prompt: Extract<Prompt, { kind: 'confirm' | 'quit' }>, key: string): void {
    this.#prompt(undefined)
    if (key !== 'y' && key !== 'enter') return
    if (prompt.kind === 'quit') return this.#dispatch({ type: 'exit' })
    void this.#run(prompt.argv)
  }

  #submit(prompt: Extract<Prompt, { kind: 'goto' | 'filter' | 'command' }>): void {
    this.#prompt(undefined)
    if (prompt.kind === 'filter') return this.#dispatch({ type: 'filter', text: prompt.text })
    if (prompt.kind === 'command')
      return prompt.text.trim() === '' ? undefined : void this.#run(splitWords(prompt.text))
    this.#goTo(prompt.text.trim())
  }

  /** `wl`, `wl shop`, `wl shop /pay`, `q`. */
  #goTo(text: string): void {
    if (text === 'q' || text === 'quit') return this.#quit()
    const [name = '', ...rest] = text.split(/\s+/)
    const view = viewByName(name)
    if (!view) return this.#say('FAIL', `no view is called ${name}; ctrl-a lists them`)
    this.#dispatch({ type: 'go', view: view.id })
    const namespace = rest.find((word) => !word.startsWith('/'))
    if (namespace) this.#dispatch({ type: 'namespace', name: namespace })
    const filter = rest.find((word) => word.startsWith('/'))
    if (filter) this.#dispatch({ type: 'filter', text: filter.slice(1) })
  }

  #leave(): void {
    if (this.#state.stack.length > 1 || currentView(this.#state).filter !== '') this.#dispatch({ type: 'back' })
    else this.#quit()
  }

  #quit(): void {
    const faults = this.#activeOwnFaults().length
    if (faults === 0) this.#dispatch({ type: 'exit' })
    else this.#prompt({ kind: 'quit', faults })
  }

  /** Ends the session without a question: nobody is there to answer it. */
  end(): void {
    this.#dispatch({ type: 'exit' })
  }

  /** Names of the faults that this session set and that still hold. */
  #activeOwnFaults(): string[] {
    const active = this.#init.model().faults.filter(({ state }) => state !== 'Ended')
    return active.map(({ id }) => id).filter((id) => this.#state.ownFaults.includes(id))
  }

  /** Heals what this session broke. Called once the screen is gone; answers what could not be healed. */
  async healOwnFaults(): Promise<string[]> {
    const results = await Promise.all(
      this.#activeOwnFaults().map(async (name) => ({ name, ...(await this.#init.run(['fault', 'heal', name])) })),
    )
    return results.filter(({ code }) => code !== 0).map(({ name }) => name)
  }

  #healAll(): void {
    const { faults } = this.#init.model()
    const others = faults.filter(({ id, state }) => state === 'Active' && !this.#state.ownFaults.includes(id))
    if (faults.every(({ state }) => state !== 'Active')) return this.#say('ok', 'nothing to heal')
    const argv = ['fault', 'heal', '--all']
    if (others.length === 0) void this.#run(argv)
    else this.#prompt({ kind: 'confirm', question: `heal all faults, ${others.length} of them set elsewhere?`, argv })
  }

  #move(by: number): void {
    const ids = this.view.rows(this.#context())
    const view = currentView(this.#state)
    if (ids.length === 0) {
      const to =
        by === Number.NEGATIVE_INFINITY
          ? 0
          : by === Number.POSITIVE_INFINITY
            ? Number.MAX_SAFE_INTEGER
            : view.scroll + by
      return this.#dispatch({ type: 'scroll', to })
    }
    const now = Math.max(0, ids.indexOf(view.selectedId ?? ''))
    this.#dispatch({ type: 'select', id: ids[Math.min(ids.length - 1, Math.max(0, now + by))] })
  }

  #page(): number {
    return Math.max(1, this.#init.rows() - 8)
  }

  #chooseNamespace(digit: number): void {
    const name = digit === 0 ? 'all' : this.#init.model().namespaces[digit - 1]
    if (name) this.#dispatch({ type: 'namespace', name })
  }

  #sort(by: -1 | 1): void {
    const columns = this.view.sortColumns ?? []
    if (columns.length === 0) return
    const now = currentView(this.#state).sort
    const index = columns.findIndex(({ key }) => key === now?.column)
    const next = columns[(Math.max(0, index) + (now ? by : 0) + columns.length) % columns.length]!
    this.#dispatch({
      type: 'sort',
      sort: { column: next.key, descending: next.key === now?.column ? !now.descending : false },
    })
  }

  #perform(effect: Effect): void {
    switch (effect.do) {
      case 'run':
        return effect.confirm
          ? this.#prompt({ kind: 'confirm', question: effect.confirm, argv: effect.argv })
          : void this.#run(effect.argv)
      case 'compose':
        return this.#prompt({ kind: 'command', text: effect.text })
      case 'show':
        return void this.#show(effect.argv, effect.title)
      case 'go':
        return this.#dispatch({
          type: 'go',
          view: effect.view,
          ...(effect.subject === undefined ? {} : { subject: effect.subject }),
        })
      case 'say':
        return this.#say(effect.level, effect.text)
      default:
        return unreachable(effect, 'effect')
    }
  }

  async #run(argv: readonly string[]): Promise<void> {
    const command = `ambient ${argv.join(' ')}`
    this.#dispatch({ type: 'ran', command })
    if (this.#state.readOnly) return this.#say('WARN', 'read-only: ctrl-t turns it off')
    const { code, stdout, stderr } = await this.#init.run(argv)
    if (argv[0] === 'fault' && argv[1] === 'add' && code === 0) this.#ownFaults(stdout)
    const text = firstLine((code === 0 ? stdout : stderr).trim()) || `${command}: exit ${code}`
    this.#say(code === 0 ? 'ok' : 'FAIL', text.replace(/^error: /, ''))
  }

  /** `fault add` prints the fault's name first. */
  #ownFaults(stdout: string): void {
    const name = /\bfault\/([a-z0-9.-]+)|^([a-z0-9.-]+)/.exec(stdout.trim())
    const found = name?.[1] ?? name?.[2]
    if (found) this.#dispatch({ type: 'ownFaults', names: [...this.#state.ownFaults, found] })
  }

  async #show(argv: readonly string[], title: string): Promise<void> {
    const opened = openOutput(this.#state, { title, argv, lines: [], pending: true })
    this.#state = opened.state
    this.changed.emit(this.#state)
    const { stdout, stderr } = await this.#init.run(argv)
    const lines = (stdout || stderr).trimEnd().split('\n')
    this.#dispatch({ type: 'output', index: opened.index, output: { title, argv, lines, pending: false } })
  }

  #copy(text: string): void {
    this.#init.copy(text)
    this.#say('ok', `copied: ${text}`)
  }

  #say(level: 'ok' | 'WARN' | 'FAIL', text: string): void {
    this.#cancelMessage()
    this.#dispatch({ type: 'say', message: { level, text, atMs: this.#init.clock.now() } })
    this.#cancelMessage = this.#init.clock.schedule(
      MESSAGE_MS,
      () => this.#dispatch({ type: 'say', message: undefined }),
      { background: true },
    )
  }
}

function firstLine(text: string): string {
  return text.split(/[\r\n]/)[0] ?? ''
}

/** Words as a shell splits them: spaces, single and double quotes. */
export function splitWords(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  )
}
