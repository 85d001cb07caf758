import type { LatencySummaryMs, Load } from '@ambient-lab/api'
import { parseDuration } from '@ambient-lab/std'
import type { ExitName } from '../cli/exit-codes.ts'
import { usageError } from '../cli/usage-error.ts'
import { layoutColumns } from '../output/columns.ts'

type LoadStatus = NonNullable<Load['status']>

const PERCENTILES = ['p50', 'p90', 'p99', 'p999', 'max', 'mean', 'min'] as const
type Percentile = (typeof PERCENTILES)[number]

/** `p99>50ms`, `errors>0.1%`, `ok<99%`, `late>1%` */
export interface Threshold {
  readonly text: string
  readonly metric: Percentile | 'errors' | 'ok' | 'late'
  readonly operator: '>' | '<' | '>=' | '<='
  /** ms for percentiles, percent for the others. */
  readonly limit: number
}

/** More late sends than this, and the numbers are about the sender. */
const LATE_PERCENT_MAX = 1
/** Fewer of the intended sends than this: the rate was not kept. */
const SENT_PERCENT_MIN = 99

/** @throws CodedError USAGE */
export function parseThreshold(text: string): Threshold {
  const match = /^\s*(\w+)\s*(>=|<=|>|<)\s*(\S+)\s*$/.exec(text)
  const [, metric = '', operator, value = ''] = match ?? []
  const isPercentile = (PERCENTILES as readonly string[]).includes(metric)
  const limit = isPercentile
    ? parseDuration(value)
    : /^\d+(\.\d+)?%$/.test(value)
      ? Number.parseFloat(value)
      : undefined
  if (!operator || limit === undefined || !(isPercentile || ['errors', 'ok', 'late'].includes(metric))) {
    throw usageError(
      `--fail-if "${text}" is no threshold`,
      "--fail-if 'p99>50ms', 'errors>0.1%', 'ok<99%' or 'late>1%'",
    )
  }
  return { text, metric: metric as Threshold['metric'], operator: operator as Threshold['operator'], limit }
}

export interface LoadVerdict {
  readonly exit: ExitName
  /** For stderr. */
  readonly says: readonly string[]
}

/** The exit code of a finished load, decided on its numbers alone. Pure. */
export function judge({ spec, status = {} }: Load, thresholds: readonly Threshold[]): LoadVerdict {
  if (status.phase === 'Failed') {
    return { exit: 'nothing', says: [`error: the load failed: ${status.message ?? 'no reason given'}`] }
  }
  if (!status.completed) {
    return {
      exit: 'nothing',
      says: [`error: ${spec?.url} answered not one of ${status.sent ?? 0} requests`, `  ${outcomesText(status)}`],
    }
  }
  const crossed = thresholds.filter((threshold) => isCrossed(threshold, status))
  if (crossed.length > 0) return { exit: 'no', says: crossed.map(({ text }) => `threshold crossed: ${text}`) }
  if (
    percent(status.sent, status.intended) < SENT_PERCENT_MIN ||
    percent(status.late, status.sent) > LATE_PERCENT_MAX
  ) {
    return {
      exit: 'try later',
      says: [`the rate was not kept: sent ${status.sent} of ${status.intended}, late ${status.late ?? 0}`],
    }
  }
  return { exit: 'ok', says: [] }
}

function isCrossed({ metric, operator, limit }: Threshold, status: LoadStatus): boolean {
  const value = metricValue(metric, status)
  if (operator === '>') return value > limit
  if (operator === '<') return value < limit
  return operator === '>=' ? value >= limit : value <= limit
}

function metricValue(metric: Threshold['metric'], status: LoadStatus): number {
  const { completed = 0, failed = 0 } = status
  if (metric === 'errors') return percent(failed, completed + failed)
  if (metric === 'ok') return percent(completed, completed + failed)
  if (metric === 'late') return percent(status.late, status.sent)
  return status.latencyMs?.[metric] ?? 0
}

function percent(part = 0, whole = 0): number {
  return whole === 0 ? 0 : (100 * part) / whole
}

/** One line of progress. */
export function progressLine({ status = {} }: Load): string {
  const { sent = 0, intended = 0, completed = 0, failed = 0, latencyMs } = status
  return `sent ${sent} of ${intended}  ok ${completed}  failed ${failed}  p50 ${ms(latencyMs?.p50)}  p99 ${ms(latencyMs?.p99)}`
}

/** What was sent, what came back, and how long it took. */
export function summaryText({ metadata, spec, status = {} }: Load, options: { uncorrected: boolean }): string {
  const { sent = 0, intended = 0, late = 0, completed = 0, failed = 0, latencyMs, uncorrectedMs } = status
  const rows = [
    ['latency', ...summaryCells(latencyMs)],
    ...(options.uncorrected ? [['uncorrected', ...summaryCells(uncorrectedMs)]] : []),
  ]
  const columns = ['', 'MIN', 'P50', 'P90', 'P99', 'P999', 'MAX', 'MEAN'].map((title, index) => ({
    title,
    right: index > 0,
  }))
  return [
    `load/${metadata.name}  ${spec?.method ?? 'GET'} ${spec?.url}  from ${spec?.from}${status.node ? ` on ${status.node}` : ''}\n`,
    `sent ${sent} of ${intended}, late ${late}, ok ${completed}, failed ${failed}\n`,
    `outcomes ${outcomesText(status)}\n`,
    layoutColumns(columns, rows),
  ].join('')
}

function summaryCells(summary: LatencySummaryMs | undefined): string[] {
  return [summary?.min, summary?.p50, summary?.p90, summary?.p99, summary?.p999, summary?.max, summary?.mean].map(ms)
}

function outcomesText({ outcomes = {} }: LoadStatus): string {
  const entries = Object.entries(outcomes)
  return entries.length === 0 ? '-' : entries.map(([outcome, number]) => `${outcome}:${number}`).join(' ')
}

function ms(value: number | undefined): string {
  return value === undefined ? '-' : `${value < 10 ? value.toFixed(2) : value.toFixed(1)}ms`
}

/**
 * The histogram as HdrHistogram's log reader takes it: corrected latencies in µs.
 * @see https://github.com/HdrHistogram/HdrHistogram (HistogramLogWriter)
 */
export function histogramLog({ metadata, status = {} }: Load): string {
  const startMs = Date.parse(status.startedAt ?? '')
  const seconds = (Date.parse(status.finishedAt ?? '') - startMs) / 1000
  return [
    '#[Histogram log format version 1.3]',
    `#[StartTime: ${(startMs / 1000).toFixed(3)} (seconds since epoch), ${status.startedAt}]`,
    '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
    `Tag=${metadata.name},0.000,${seconds.toFixed(3)},${((status.latencyMs?.max ?? 0) * 1000).toFixed(3)},${status.histogram ?? ''}`,
    '',
  ].join('\n')
}
