import type { Result } from './judge.ts'
import type { Row } from './run.ts'

type Counts = Record<Result, number>

/** Counts by corpus and area, then every failure with what was wanted and what came, then the totals. */
export function formatReport(rows: readonly Row[]): string {
  return [...countLines(rows), ...skipLines(rows), ...failureLines(rows), totalsLine(rows)].join('\n')
}

export function totalsLine(rows: readonly Row[]): string {
  const { passed, failed, skipped } = count(rows)
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

function count(rows: readonly Row[]): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
  for (const { result } of rows) counts[result] += 1
  return counts
}

function countLines(rows: readonly Row[]): string[] {
  const lines: string[] = [cells('', 'passed', 'failed', 'skipped')]
  for (const [corpus, ofCorpus] of groupBy(rows, (row) => row.corpus)) {
    lines.push(countLine(corpus, ofCorpus))
    const areas = groupBy(ofCorpus, (row) => row.area)
    for (const [area, ofArea] of areas) lines.push(countLine(`  ${area}`, ofArea))
  }
  return [...lines, '']
}

function countLine(name: string, rows: readonly Row[]): string {
  const { passed, failed, skipped } = count(rows)
  return cells(name, passed || '', failed || '', skipped || '')
}

function cells(name: string, ...numbers: readonly (string | number)[]): string {
  return `${name.padEnd(34)}${numbers.map((number) => String(number).padStart(9)).join('')}`.trimEnd()
}

/** Each reason once for each corpus, with how many cases it holds back. */
function skipLines(rows: readonly Row[]): string[] {
  const skips = rows.filter(({ result }) => result === 'skipped')
  const groups = groupBy(skips, ({ corpus, reason }) => `${corpus}: ${lastClause(reason ?? '')}`)
  const lines = [...groups].map(([reason, { length }]) => `skipped ${String(length).padStart(4)}  ${reason}`)
  return lines.length > 0 ? [...lines, ''] : []
}

/** Of `2 of 4 checks passed; from x/to y/http: needs a waypoint (L7)`, what is the same for all such cases. */
function lastClause(reason: string): string {
  return reason.slice(reason.lastIndexOf(': ') < 0 ? 0 : reason.lastIndexOf(': ') + 2)
}

function failureLines(rows: readonly Row[]): string[] {
  return rows
    .filter(({ result }) => result === 'failed')
    .flatMap(({ corpus, id, reason = '' }) => [
      `FAILED ${corpus}/${id}`,
      ...reason.split('\n').map((line) => `       ${line}`),
      '',
    ])
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group) group.push(item)
    else groups.set(key(item), [item])
  }
  return groups
}
