import { cpus, release, totalmem } from 'node:os'
import type { Row } from './suite.ts'

export interface Report {
  readonly suite: string
  readonly machine: {
    readonly cpu: string
    readonly cores: number
    readonly memoryGiB: number
    readonly kernel: string
  }
  readonly versions: Readonly<Record<string, string>>
  readonly rounds: number
  readonly rows: readonly Row[]
}

export function describeMachine(): Report['machine'] {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
  }
}

/** The report as a table for people. Pure. */
export function renderTable(report: Report): string {
  const header = ['WORK', 'PEER', 'UNIT', 'OURS', 'THEIRS', 'RATIO', 'GOAL', 'MET', 'NOTE']
  const lines = report.rows.map((row) => [
    row.work,
    row.peer,
    row.unit,
    number(row.ours),
    number(row.theirs),
    number(row.ratio),
    row.goal,
    row.met === null ? '-' : row.met ? 'yes' : 'NO',
    row.note ?? '',
  ])
  const widths = header.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]!.length)))
  const render = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd()
  return [header, ...lines].map(render).join('\n')
}

function number(value: number | null): string {
  if (value === null) return '-'
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
