import type { DryRunResult } from '@ambient-lab/policy'
import type { Counter, Logger, MetricFamily, MetricsRegistry } from '@ambient-lab/telemetry'

const LABELS = ['authz_dry_run_action', 'authz_dry_run_result'] as const

type Label = (typeof LABELS)[number]

export interface DryRunSeriesComponents {
  readonly metrics: MetricsRegistry
  readonly log: Logger
}

/**
 * Tells what policies in dry run would have decided: Envoy's counters by the names and labels that Istio gives them, and
 * at level debug its line.
 * @see https://istio.io/latest/docs/tasks/security/authorization/authz-dry-run/
 */
export class DryRunSeries {
  readonly #components: DryRunSeriesComponents
  /** By stat prefix: a family begins with its first result. */
  readonly #families = new Map<string, MetricFamily<Label, Counter>>()

  constructor(components: DryRunSeriesComponents) {
    this.#components = components
  }

  /** @param statPrefix of the HTTP connection manager */
  count(statPrefix: string, results: DryRunResult): void {
    const { log } = this.#components
    for (const action of ['deny', 'allow'] as const) {
      const shadow = results[action]
      if (!shadow) continue
      const labels = { authz_dry_run_action: action, authz_dry_run_result: shadow.result }
      this.#family(statPrefix).labels(labels).inc()
      if (log.enabled('debug')) log.debug(`shadow ${shadow.result}, matched policy ${shadow.policy ?? 'none'}`)
    }
  }

  #family(statPrefix: string): MetricFamily<Label, Counter> {
    const name = `envoy_http_${statPrefix.replace(/[^a-zA-Z0-9_]/g, '_')}_rbac`
    let family = this.#families.get(name)
    if (!family) {
      const help = 'Requests that policies in dry run would have allowed or denied'
      family = this.#components.metrics.counter({ name, help, labels: LABELS })
      this.#families.set(name, family)
    }
    return family
  }
}
