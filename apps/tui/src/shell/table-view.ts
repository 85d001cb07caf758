import { box } from '../widgets/box.ts'
import { renderTable, type Sort, sortRows, type TableColumn, type TableRow } from '../widgets/table.ts'
import { parseFilter } from './filter.ts'
import { type Line, span } from './text.ts'
import type { Effect, Screen, ViewContext, ViewDefinition, ViewKey } from './view.ts'

export interface Strip {
  readonly title: string
  readonly note?: string
  readonly lines: readonly Line[]
}

export interface TableViewInit<Row extends TableRow> {
  readonly id: string
  readonly names: readonly string[]
  readonly title: string
  readonly columns: readonly TableColumn<Row>[]
  readonly defaultSort: Sort
  /** All rows of the scope, before filter and sort. Pure. */
  select(context: ViewContext): readonly Row[]
  /** What `ctrl-z` keeps. */
  problem?(row: Row): boolean
  /** A view's keys, which act on the selected row. */
  readonly keys: readonly RowKey<Row>[]
  /** Under the table, about the selected row; folds away on short screens. */
  strip?(row: Row | undefined, context: ViewContext, width: number): Strip | undefined
  /** What an empty table says. */
  readonly empty: string
  command(context: ViewContext): string
  facts?(context: ViewContext): string
}

export interface RowKey<Row> extends Omit<ViewKey, 'act'> {
  act(row: Row, context: ViewContext): Effect | undefined
  /** Also acts when there is no row. */
  readonly without?: (context: ViewContext) => Effect | undefined
}

/** Rows a table keeps before its strip is folded away. */
const TABLE_ROWS_MIN = 5

/** A view that is one table with a strip under it: most views. */
export function defineTableView<Row extends TableRow>(init: TableViewInit<Row>): ViewDefinition {
  const shownRows = (context: ViewContext) => shown(init, context)
  return {
    id: init.id,
    names: init.names,
    title: init.title,
    sortColumns: init.columns.map(({ key, sortKey }) => (sortKey === undefined ? { key } : { key, sortKey })),
    keys: init.keys.map((key) => rowKey(key, shownRows)),
    rows: (context) => shownRows(context).map(({ id }) => id),
    render: (context, screen) => render(init, context, screen),
    command: init.command,
    ...(init.facts ? { facts: init.facts } : {}),
    status: (context) => `${shownRows(context).length}/${init.select(context).length} shown`,
  }
}

function rowKey<Row extends TableRow>(key: RowKey<Row>, rows: (context: ViewContext) => readonly Row[]): ViewKey {
  return {
    ...key,
    act: (context) => {
      const row = selectedRow(rows(context), context)
      return row ? key.act(row, context) : key.without?.(context)
    },
  }
}

function selectedRow<Row extends TableRow>(rows: readonly Row[], { view }: ViewContext): Row | undefined {
  return rows.find(({ id }) => id === view.selectedId) ?? rows[0]
}

function shown<Row extends TableRow>(init: TableViewInit<Row>, context: ViewContext): readonly Row[] {
  const { view } = context
  const filter = parseFilter(view.filter)
  const kept = init.select(context).filter((row) => {
    if (view.problemsOnly && init.problem && !init.problem(row)) return false
    return filter.matches({
      text: init.columns.map((column) => column.format?.(row) ?? String(column.value(row) ?? '')).join(' '),
      value: (name) => init.columns.find(({ key, title }) => key === name || title.toLowerCase() === name)?.value(row),
    })
  })
  return sortRows(kept, init.columns, view.sort ?? init.defaultSort)
}

function render<Row extends TableRow>(init: TableViewInit<Row>, context: ViewContext, screen: Screen): Line[] {
  const rows = shown(init, context)
  const selected = selectedRow(rows, context)
  const strip = init.strip?.(selected, context, screen.width - 4)
  const stripHeight = strip ? Math.min(strip.lines.length + 2, screen.height - TABLE_ROWS_MIN - 3) : 0
  const folded = stripHeight < 3 ? 0 : stripHeight
  const height = screen.height - folded
  const sort = context.view.sort ?? init.defaultSort
  const { lines, dropped } = renderTable({
    columns: init.columns,
    rows,
    width: screen.width - 2,
    height: height - 2,
    selectedId: selected?.id,
    sort,
    wide: context.view.wide,
  })
  const body = rows.length > 0 ? lines : [lines[0]!, [], [span(` ${emptyText(init, context)}`, 'dim')]]
  const table = box(
    body,
    {
      title: `${init.title}(${scope(context)})[${rows.length}]`,
      note: note(sort, dropped, context),
      width: screen.width,
      height,
    },
    screen.glyphs,
  )
  if (!strip || folded === 0) return table
  return [
    ...table,
    ...box(
      strip.lines.map((line) => [span(' '), ...line]),
      {
        title: strip.title,
        width: screen.width,
        height: folded,
        focused: false,
        ...(strip.note ? { note: strip.note } : {}),
      },
      screen.glyphs,
    ),
  ]
}

function emptyText<Row extends TableRow>(init: TableViewInit<Row>, { view }: ViewContext): string {
  if (view.filter) return `nothing matches /${view.filter}   <esc> clears the filter`
  return view.problemsOnly ? 'no problems here   <ctrl-z> shows all' : init.empty
}

function scope({ ui }: ViewContext): string {
  return ui.namespace
}

function note(sort: Sort, dropped: number, { view }: ViewContext): string {
  const parts = [`sort ${sort.column} ${sort.descending ? 'v' : '^'}`]
  if (dropped > 0) parts.unshift(`+${dropped} cols, ctrl-w`)
  const error = parseFilter(view.filter).error
  if (error) parts.unshift(`filter: ${error.message} at ${error.at + 1}`)
  else if (view.filter) parts.unshift(`/${view.filter}`)
  if (view.problemsOnly) parts.unshift('problems only')
  return parts.join('  ')
}

/** Rows of one namespace, or of all. */
export function inNamespace<Row extends { readonly namespace: string }>(
  rows: readonly Row[],
  { ui }: ViewContext,
): readonly Row[] {
  return ui.namespace === 'all' ? rows : rows.filter(({ namespace }) => namespace === ui.namespace)
}

/** `-n shop` or `-A`, for command lines. */
export function namespaceFlag({ ui }: ViewContext): string {
  return ui.namespace === 'all' ? '-A' : `-n ${ui.namespace}`
}
