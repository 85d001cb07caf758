export interface ColumnLayout {
  readonly title: string
  /** Numbers stand right. */
  readonly right?: boolean
}

export type Cell = string | number | null | undefined

/** Between columns, as kubectl does it. */
const GAP = '  '

/**
 * Rows as aligned text, two spaces between columns, no borders, nothing behind the last one. Control characters of
 * cells are shown and not sent to the terminal.
 */
export function layoutColumns(
  columns: readonly ColumnLayout[],
  rows: readonly (readonly Cell[])[],
  headers = true,
): string {
  const texts = rows.map((row) => columns.map((_, index) => cellText(row[index])))
  const head = columns.map(({ title }) => title)
  const widths = columns.map((_, index) =>
    Math.max(headers ? head[index]!.length : 0, ...texts.map((row) => row[index]!.length)),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, index) => (columns[index]!.right ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!)))
      .join(GAP)
      .trimEnd()
  return [...(headers ? [head] : []), ...texts].map((cells) => `${line(cells)}\n`).join('')
}

/** `-` for what was not measured, escapes for what a terminal would obey. */
export function cellText(cell: Cell): string {
  if (cell === null || cell === undefined || cell === '') return '-'
  return String(cell).replace(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
