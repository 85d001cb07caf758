import { STANDARD_METRICS, type StandardMetric } from '@ambient-lab/xds'

/** Which of the standard metrics are told. */
export type MetricSwitches = Readonly<Record<StandardMetric, boolean>>

/** @param disabled those that are not told */
export function metricSwitches(disabled: readonly StandardMetric[] = []): MetricSwitches {
  const entries = STANDARD_METRICS.map((metric) => [metric, !disabled.includes(metric)])
  return Object.fromEntries(entries) as MetricSwitches
}

export const ALL_METRICS = metricSwitches()
