/**
 * Rows as istioctl prints them: each column as wide as its widest cell and the gap, the last without trailing spaces
 * only where its cells are.
 * @param gap spaces between two columns
 */
export function tabulate(rows: readonly (readonly string[])[], gap: number): string {
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: columns - 1 }, (_, index) =>
    Math.max(...rows.map((row) => visible(row[index] ?? '').length + gap)),
  )
  return rows.map((row) => `${row.map((cell, index) => visible(cell).padEnd(widths[index] ?? 0)).join('')}\n`).join('')
}

/** A cell must not steer the terminal. */
function visible(cell: string): string {
  return cell.replace(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
