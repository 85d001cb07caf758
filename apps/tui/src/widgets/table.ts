import { displayWidth, fit, type Line, type Role, type Span, span } from '../shell/text.ts'

export interface TableColumn<Row> {
  /** What `--where`, sort and filters call it. */
  readonly key: string
  readonly title: string
  /** @default 'left' */
  readonly align?: 'left' | 'right'
  /** Columns with the highest number are dropped first when the terminal is narrow; 0 never. */
  readonly priority: number
  /** Widest that is useful. */
  readonly widthMax: number
  /** Shown only when wide is on, or when the terminal has room to spare. */
  readonly wide?: boolean
  /** Capital letter that sorts by this column. */
  readonly sortKey?: string
  value(row: Row): string | number | undefined
  /** @default the value as it is, `-` when undefined */
  format?(row: Row): string
  role?(row: Row): Role
}

export interface TableRow {
  readonly id: string
}

export interface Sort {
  readonly column: string
  readonly descending: boolean
}

export interface TableInit<Row extends TableRow> {
  readonly columns: readonly TableColumn<Row>[]
  readonly rows: readonly Row[]
  readonly width: number
  /** Header included. */
  readonly height: number
  readonly selectedId: string | undefined
  readonly sort: Sort | undefined
  readonly marked?: ReadonlySet<string>
  readonly wide?: boolean
}

export interface RenderedTable {
  readonly lines: readonly Line[]
  /** How many columns did not fit. */
  readonly dropped: number
}

/** Rows of cells under upper-case titles; only the rows around the selected one are rendered. Pure. */
export function renderTable<Row extends TableRow>(init: TableInit<Row>): RenderedTable {
  const { columns, widths, dropped } = layOut(init)
  const selected = Math.max(
    0,
    init.rows.findIndex(({ id }) => id === init.selectedId),
  )
  const visible = Math.max(1, init.height - 1)
  const first = scrollTo(selected, init.rows.length, visible)
  const rows = init.rows.slice(first, first + visible)
  return {
    lines: [header(columns, widths, init.sort), ...rows.map((row) => renderRow(row, columns, widths, init))],
    dropped,
  }
}

/** Keeps the selected row in the window, near its middle where there is room on both sides. */
function scrollTo(selected: number, count: number, visible: number): number {
  return Math.max(0, Math.min(selected - (visible >> 1), count - visible))
}

function layOut<Row extends TableRow>({ columns, rows, width, wide }: TableInit<Row>) {
  const offered = columns.filter((column) => wide || !column.wide)
  const natural = new Map(offered.map((column) => [column, naturalWidth(column, rows)]))
  const kept = [...offered]
  const total = () => kept.reduce((sum, column) => sum + natural.get(column)! + 1, -1)
  while (kept.length > 1 && total() > width) {
    const victim = kept.reduce((worst, column) => (column.priority >= worst.priority ? column : worst))
    if (victim.priority === 0) break
    kept.splice(kept.indexOf(victim), 1)
  }
  return { columns: kept, widths: kept.map((column) => natural.get(column)!), dropped: offered.length - kept.length }
}

function naturalWidth<Row extends TableRow>(column: TableColumn<Row>, rows: readonly Row[]): number {
  const content = rows.reduce((max, row) => Math.max(max, displayWidth(cell(column, row))), 0)
  // One more for the arrow of a sorted column.
  return Math.max(displayWidth(column.title) + 1, Math.min(content, column.widthMax))
}

function header<Row>(columns: readonly TableColumn<Row>[], widths: readonly number[], sort: Sort | undefined): Line {
  return columns.flatMap((column, index): Span[] => {
    const sorted = sort?.column === column.key
    const title = sorted ? `${column.title}${sort.descending ? 'v' : '^'}` : column.title
    return [...gap(index), span(fit(title, widths[index]!, column.align), sorted ? 'selected' : 'title')]
  })
}

function renderRow<Row extends TableRow>(
  row: Row,
  columns: readonly TableColumn<Row>[],
  widths: readonly number[],
  { selectedId, marked }: TableInit<Row>,
): Line {
  const selected = row.id === selectedId
  return columns.flatMap((column, index): Span[] => {
    const role = selected ? 'selected' : marked?.has(row.id) ? 'changed' : (column.role?.(row) ?? 'plain')
    return [...gap(index, selected), span(fit(cell(column, row), widths[index]!, column.align), role)]
  })
}

function gap(index: number, selected = false): Span[] {
  return index === 0 ? [] : [span(' ', selected ? 'selected' : 'plain')]
}

function cell<Row>(column: TableColumn<Row>, row: Row): string {
  return column.format ? column.format(row) : String(column.value(row) ?? '-')
}

/** Stable; undefined values last whichever way. */
export function sortRows<Row>(
  rows: readonly Row[],
  columns: readonly TableColumn<Row>[],
  sort: Sort | undefined,
): readonly Row[] {
  const column = sort && columns.find(({ key }) => key === sort.column)
  if (!column) return rows
  const direction = sort.descending ? -1 : 1
  return [...rows].sort((a, b) => {
    const left = column.value(a)
    const right = column.value(b)
    if (left === undefined || right === undefined) return Number(left === undefined) - Number(right === undefined)
    if (typeof left === 'number' && typeof right === 'number') return direction * (left - right)
    return direction * String(left).localeCompare(String(right), 'en', { numeric: true })
  })
}
