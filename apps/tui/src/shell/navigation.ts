import type { Sort } from '../widgets/table.ts'

/** One entry of the view stack: where the person is in one view. */
export interface ViewState {
  readonly id: string
  /** What the view is about: a service's key, an output's number. */
  readonly subject?: string
  readonly filter: string
  readonly sort?: Sort
  readonly selectedId?: string
  /** First line shown, in text views. */
  readonly scroll: number
  readonly wide: boolean
  readonly problemsOnly: boolean
}

export interface Message {
  readonly level: 'ok' | 'WARN' | 'FAIL'
  readonly text: string
  readonly atMs: number
}

/** What the last row asks for. */
export type Prompt =
  | { readonly kind: 'goto' | 'filter' | 'command'; readonly text: string }
  | { readonly kind: 'confirm'; readonly question: string; readonly argv: readonly string[] }
  | { readonly kind: 'quit'; readonly faults: number }

/** What a command printed, kept for the view that shows it. */
export interface Output {
  readonly title: string
  readonly argv: readonly string[]
  readonly lines: readonly string[]
  readonly pending: boolean
}

export interface UiState {
  /** The last one is shown. */
  readonly stack: readonly ViewState[]
  readonly past: readonly ViewState[]
  readonly future: readonly ViewState[]
  /** `all`, or one namespace. */
  readonly namespace: string
  readonly prompt: Prompt | undefined
  readonly message: Message | undefined
  readonly outputs: readonly Output[]
  /** Commands that this session ran, oldest first. */
  readonly commands: readonly string[]
  /** Faults that this session set and has to heal when it ends. */
  readonly ownFaults: readonly string[]
  readonly readOnly: boolean
  readonly frozen: boolean
  readonly headerHidden: boolean
  readonly crumbsHidden: boolean
  readonly exit: boolean
}

export type Action =
  | { readonly type: 'go'; readonly view: string; readonly subject?: string }
  | { readonly type: 'back' | 'previous' | 'historyBack' | 'historyForward' | 'exit' }
  | { readonly type: 'select'; readonly id: string | undefined }
  | { readonly type: 'scroll'; readonly to: number }
  | { readonly type: 'filter'; readonly text: string }
  | { readonly type: 'sort'; readonly sort: Sort }
  | {
      readonly type: 'toggle'
      readonly what: 'wide' | 'problemsOnly' | 'frozen' | 'headerHidden' | 'crumbsHidden' | 'readOnly'
    }
  | { readonly type: 'namespace'; readonly name: string }
  | { readonly type: 'prompt'; readonly prompt: Prompt | undefined }
  | { readonly type: 'say'; readonly message: Message | undefined }
  | { readonly type: 'ran'; readonly command: string }
  | { readonly type: 'output'; readonly index: number; readonly output: Output }
  | { readonly type: 'ownFaults'; readonly names: readonly string[] }

const OUTPUTS_MAX = 50
const COMMANDS_MAX = 500

export function initialState(view = 'map', namespace = 'all'): UiState {
  return {
    stack: [freshView(view)],
    past: [],
    future: [],
    namespace,
    prompt: undefined,
    message: undefined,
    outputs: [],
    commands: [],
    ownFaults: [],
    readOnly: false,
    frozen: false,
    headerHidden: false,
    crumbsHidden: false,
    exit: false,
  }
}

export function freshView(id: string, subject?: string): ViewState {
  return { id, ...(subject === undefined ? {} : { subject }), filter: '', scroll: 0, wide: false, problemsOnly: false }
}

export function currentView(state: UiState): ViewState {
  return state.stack.at(-1)!
}

/** The only way in which the screen's state changes. Pure. */
export function reduce(state: UiState, action: Action): UiState {
  switch (action.type) {
    case 'go':
      return go(state, freshView(action.view, action.subject))
    case 'back':
      return back(state)
    case 'previous':
    case 'historyBack':
      return state.past.length === 0
        ? state
        : travel(state, state.past.at(-1)!, state.past.slice(0, -1), [...state.future, currentView(state)])
    case 'historyForward':
      return state.future.length === 0
        ? state
        : travel(state, state.future.at(-1)!, [...state.past, currentView(state)], state.future.slice(0, -1))
    case 'exit':
      return { ...state, exit: true }
    case 'select':
      return withView(state, { selectedId: action.id })
    case 'scroll':
      return withView(state, { scroll: Math.max(0, action.to) })
    case 'filter':
      return withView(state, { filter: action.text })
    case 'sort':
      return withView(state, { sort: action.sort })
    case 'toggle':
      return toggle(state, action.what)
    case 'namespace':
      return { ...state, namespace: action.name }
    case 'prompt':
      return { ...state, prompt: action.prompt }
    case 'say':
      return { ...state, message: action.message }
    case 'ran':
      return { ...state, commands: [...state.commands, action.command].slice(-COMMANDS_MAX) }
    case 'output':
      return { ...state, outputs: state.outputs.with(action.index, action.output) }
    case 'ownFaults':
      return { ...state, ownFaults: action.names }
  }
}

/** Adds an output that is being made, and shows it. Answers its index with the state. */
export function openOutput(state: UiState, output: Output): { state: UiState; index: number } {
  const outputs = [...state.outputs.slice(-OUTPUTS_MAX + 1), output]
  const index = outputs.length - 1
  return { state: go({ ...state, outputs }, freshView('output', String(index))), index }
}

function go(state: UiState, view: ViewState): UiState {
  const here = currentView(state)
  if (here.id === view.id && here.subject === view.subject) return state
  const known = state.stack.findIndex(({ id, subject }) => id === view.id && subject === view.subject)
  const stack = known >= 0 ? state.stack.slice(0, known + 1) : [...state.stack, view].slice(-20)
  return { ...state, stack, past: [...state.past, here].slice(-50), future: [] }
}

/** esc: the filter first, then the view. */
function back(state: UiState): UiState {
  if (currentView(state).filter !== '') return withView(state, { filter: '' })
  if (state.stack.length === 1) return state
  return { ...state, stack: state.stack.slice(0, -1), past: [...state.past, currentView(state)].slice(-50), future: [] }
}

function travel(state: UiState, view: ViewState, past: readonly ViewState[], future: readonly ViewState[]): UiState {
  return { ...state, stack: [...state.stack.slice(0, -1), view], past, future }
}

function withView(state: UiState, change: Partial<ViewState>): UiState {
  return { ...state, stack: [...state.stack.slice(0, -1), { ...currentView(state), ...change }] }
}

function toggle(state: UiState, what: Extract<Action, { type: 'toggle' }>['what']): UiState {
  if (what === 'wide' || what === 'problemsOnly') return withView(state, { [what]: !currentView(state)[what] })
  return { ...state, [what]: !state[what] }
}
