import type { LatencySummary, LoadProgress, LoadRun } from '@ambient-lab/xds'

export const NO_LATENCY: LatencySummary = { min: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0, mean: 0 }

/** What a run reports that never got to send, or whose thread died. */
export function failedProgress(run: Pick<LoadRun, 'name' | 'namespace'>, nowMs: number, message: string): LoadProgress {
  return {
    name: run.name,
    namespace: run.namespace,
    state: 'failed',
    startedAtMs: nowMs,
    intended: 0,
    sent: 0,
    late: 0,
    completed: 0,
    failed: 0,
    outcomes: {},
    latencyMs: NO_LATENCY,
    uncorrectedMs: NO_LATENCY,
    histogram: '',
    message,
  }
}
