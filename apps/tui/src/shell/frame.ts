import type { LabModel } from '../model/lab-model.ts'
import { ASCII, LINES } from '../widgets/box.ts'
import { formatTimeOfDay } from '../widgets/format.ts'
import { keyHints } from './keymap.ts'
import { currentView, type UiState } from './navigation.ts'
import { cut, displayWidth, fitLine, type Line, type Role, type Span, span, spread } from './text.ts'
import type { Screen, ViewContext, ViewDefinition } from './view.ts'

export interface Size {
  readonly columns: number
  readonly rows: number
}

export const SIZE_MIN: Size = { columns: 80, rows: 20 }

export interface FrameInit {
  readonly model: LabModel
  readonly ui: UiState
  readonly view: ViewDefinition
  readonly size: Size
  readonly ascii: boolean
}

/** Rows that are the frame's: two above, two below. */
const HEADER_ROWS = 2
const FOOTER_ROWS = 2

/** The whole screen as lines, exactly `size.rows` of `size.columns`. Pure: terminal, `--once` and golden tests share it. */
export function renderFrame(init: FrameInit): Line[] {
  const { model, ui, view, size } = init
  if (size.columns < SIZE_MIN.columns || size.rows < SIZE_MIN.rows) return tooSmall(size)
  const header = ui.headerHidden ? 0 : HEADER_ROWS
  const crumbs = ui.crumbsHidden ? 0 : 1
  const screen: Screen = {
    width: size.columns,
    height: size.rows - header - (FOOTER_ROWS - 1 + crumbs),
    glyphs: init.ascii ? ASCII : LINES,
    ascii: init.ascii,
  }
  const context: ViewContext = { model, ui, view: currentView(ui) }
  const lines = [
    ...(header > 0 ? [contextLine(init, context), keyLine(view, ui, size.columns)] : []),
    ...view.render(context, screen),
    ...(crumbs > 0 ? [crumbLine(init, context)] : []),
    lastLine(init, context),
  ]
  return lines.map((line) => fitLine(line, size.columns))
}

function tooSmall({ columns, rows }: Size): Line[] {
  const text = `${columns}x${rows} is too small: ${SIZE_MIN.columns}x${SIZE_MIN.rows} needed`
  const middle = Math.floor((rows - 1) / 2)
  const line = `${' '.repeat(Math.max(0, (columns - displayWidth(text)) >> 1))}${cut(text, columns)}`
  return Array.from({ length: rows }, (_, row) => fitLine(row === middle ? [span(line)] : [], columns))
}

function contextLine({ model, ui, view, size }: FrameInit, context: ViewContext): Line {
  const scope = ui.namespace === 'all' ? 'all namespaces' : `ns ${ui.namespace}`
  const right = [
    ...(ui.readOnly ? ['RO'] : ['RW']),
    ...(ui.frozen ? ['FROZEN'] : []),
    model.atMs > 0 ? formatTimeOfDay(model.atMs).slice(0, size.columns >= 100 ? 8 : 5) : '',
  ].join('  ')
  const nodes = `${model.nodes.filter(({ status }) => status === 'ok').length}/${model.nodes.length} nodes`
  const faults = model.faults.filter(({ state }) => state === 'Active').length
  const facts = view.facts?.(context)
  const left: Span[] = [
    span(` ${model.lab || '-'} @local  `, 'title'),
    span(`${scope}  `),
    span(nodes, nodesRole(model)),
    span(`  ${model.workloads.length} wl`),
    ...(faults > 0 ? [span(`  ${faults} fault${faults === 1 ? '' : 's'} ON`, 'fault')] : []),
    ...(facts ? [span(`  ${facts}`)] : []),
  ]
  return spread(left, [span(`  ${right} `)], size.columns)
}

function nodesRole(model: LabModel): Role {
  return model.nodes.some(({ status }) => status === 'GONE') ? 'bad' : 'plain'
}

/** Hints cut from the right, the way to help always kept. */
function keyLine(view: ViewDefinition, ui: UiState, width: number): Line {
  const hints = keyHints(view, ui.readOnly)
  const help = hints.at(-1)!
  let line = ''
  for (const hint of hints.slice(0, -1)) {
    if (displayWidth(`${line} ${hint} ${help}`) > width - 1) break
    line += ` ${hint}`
  }
  return [span(`${line} ${help}`, 'key')]
}

function crumbLine({ model, ui, view, size }: FrameInit, context: ViewContext): Line {
  const crumbs = ui.stack
    .map(({ id, subject }) => ` <${id === 'output' ? (ui.outputs[Number(subject)]?.title ?? id) : (subject ?? id)}>`)
    .join('')
  return spread([span(crumbs, 'dim')], rightOfCrumbs(model, ui, context, view.status?.(context)), size.columns)
}

function rightOfCrumbs(model: LabModel, ui: UiState, { view }: ViewContext, status: string | undefined): Line {
  if (ui.message) return [span(` ${ui.message.level}  ${ui.message.text} `, messageRole(ui.message.level))]
  const stale = model.staleMs > 2000 ? [span(` config stale ${Math.round(model.staleMs / 1000)}s `, 'warn')] : []
  const lost = model.lost > 0 ? [span(` lost ${model.lost} `, 'dim')] : []
  const state = ui.frozen || view.id === 'output' ? [] : [span(model.staleMs > 2000 ? '' : ' live 4Hz ', 'dim')]
  const shown = status ? [span(` ${status} `, 'dim')] : []
  return [...shown, ...lost, ...stale, ...state]
}

function messageRole(level: 'ok' | 'WARN' | 'FAIL'): Role {
  return level === 'ok' ? 'good' : level === 'WARN' ? 'warn' : 'bad'
}

/** The prompt, or the command that gives this view. */
function lastLine({ ui, view }: FrameInit, context: ViewContext): Line {
  const { prompt } = ui
  if (!prompt) return [span(` $ ${view.command(context)}`, 'dim')]
  switch (prompt.kind) {
    case 'goto':
      return [span(' :', 'key'), span(prompt.text), span('_', 'selected')]
    case 'filter':
      return [span(' /', 'key'), span(prompt.text), span('_', 'selected')]
    case 'command':
      return [span(' $ ambient ', 'key'), span(prompt.text), span('_', 'selected')]
    case 'confirm':
      return [span(` ${prompt.question}  `, 'warn'), span('<y>es <n>o', 'key')]
    case 'quit':
      return [
        span(
          ` ${prompt.faults} fault${prompt.faults === 1 ? '' : 's'} of this session will be healed. Quit?  `,
          'warn',
        ),
        span('<y>es <n>o', 'key'),
      ]
  }
}
