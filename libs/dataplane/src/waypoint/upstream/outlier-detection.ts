import type { CancelTimer, Clock } from '@ambient-lab/std'
import type { OutlierDetection as OutlierConfig } from '@ambient-lab/xds'
import type { UpstreamHost } from './host.ts'

/** What a host did with one try: it answered, it could not be reached or hung up, or it kept us waiting. */
export type HostOutcome = { readonly status: number } | 'local-origin-failure' | 'local-origin-timeout'

export interface OutlierDetectionComponents {
  readonly clock: Clock
  /** The hosts of the cluster as they are now. */
  readonly hosts: () => readonly UpstreamHost[]
  /** A host was ejected or came back. */
  readonly onChange: () => void
}

/**
 * Takes hosts out of a cluster that fail again and again, for a time that grows with each ejection.
 * @see https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier
 */
export class OutlierDetection implements Disposable {
  readonly #components: OutlierDetectionComponents
  readonly #config: OutlierConfig
  #cancelReturn: CancelTimer | undefined

  constructor(components: OutlierDetectionComponents, config: OutlierConfig) {
    this.#components = components
    this.#config = config
  }

  record(host: UpstreamHost, outcome: HostOutcome): void {
    const { health } = host
    if (typeof outcome === 'string') {
      health.consecutiveLocalOriginFailures += 1
      // Unless the two are told apart, a connection that failed counts as a 503, and no answer in time as a 504.
      if (this.#config.splitExternalLocalOriginErrors) this.#judgeLocalOrigin(host)
      else this.#recordStatus(host, outcome === 'local-origin-failure' ? 503 : 504)
    } else {
      health.consecutiveLocalOriginFailures = 0
      this.#recordStatus(host, this.#judged(outcome.status))
    }
  }

  [Symbol.dispose](): void {
    this.#cancelReturn?.()
  }

  /** The status that an answer counts as: where codes are named, these are failures, whatever they mean, and no others. */
  #judged(status: number): number {
    const { errorCodes } = this.#config
    if (!errorCodes) return status
    if (!errorCodes.includes(status)) return 200
    return Math.max(status, 500)
  }

  #recordStatus(host: UpstreamHost, status: number): void {
    const { health } = host
    if (status < 500) {
      health.consecutive5xx = 0
      health.consecutiveGatewayErrors = 0
      return
    }
    health.consecutive5xx += 1
    if (status >= 502 && status <= 504) health.consecutiveGatewayErrors += 1
    else health.consecutiveGatewayErrors = 0
    const { consecutive5xx, consecutiveGatewayErrors } = this.#config
    const isGatewayOutlier = consecutiveGatewayErrors > 0 && health.consecutiveGatewayErrors >= consecutiveGatewayErrors
    const is5xxOutlier = consecutive5xx > 0 && health.consecutive5xx >= consecutive5xx
    if (isGatewayOutlier || is5xxOutlier) this.#eject(host)
  }

  #judgeLocalOrigin(host: UpstreamHost): void {
    const { consecutiveLocalOriginFailures: limit } = this.#config
    if (limit > 0 && host.health.consecutiveLocalOriginFailures >= limit) this.#eject(host)
  }

  #eject(host: UpstreamHost): void {
    const { clock, hosts, onChange } = this.#components
    const { baseEjectionTimeMs, intervalMs } = this.#config
    const { health } = host
    if (health.isEjected || !this.#mayEject(hosts())) return
    const nowMs = clock.monotonic()
    // Each interval that a host behaved since forgives one ejection.
    const forgiven = health.ejections > 0 ? Math.floor((nowMs - health.returnedMs) / intervalMs) : 0
    health.ejections = Math.max(0, health.ejections - forgiven) + 1
    health.isEjected = true
    const durationMs = Math.min(baseEjectionTimeMs * health.ejections, Math.max(baseEjectionTimeMs, EJECTION_MS_MAX))
    health.ejectedUntilMs = nowMs + durationMs
    this.#armReturn()
    onChange()
  }

  /** At most the configured share, but one host always. */
  #mayEject(hosts: readonly UpstreamHost[]): boolean {
    const { maxEjectionPercent } = this.#config
    const ejected = hosts.reduce((count, { health }) => count + (health.isEjected ? 1 : 0), 0)
    return ejected === 0 || (100 * (ejected + 1)) / hosts.length <= maxEjectionPercent
  }

  /** Hosts come back at the ends of intervals, as Envoy looks at them. */
  #armReturn(): void {
    this.#cancelReturn ??= this.#components.clock.schedule(this.#config.intervalMs, () => this.#returnHosts(), {
      background: true,
    })
  }

  #returnHosts(): void {
    this.#cancelReturn = undefined
    const nowMs = this.#components.clock.monotonic()
    let changed = false
    let waiting = false
    for (const { health } of this.#components.hosts()) {
      if (!health.isEjected) continue
      if (health.ejectedUntilMs > nowMs) {
        waiting = true
        continue
      }
      health.isEjected = false
      health.returnedMs = nowMs
      health.consecutive5xx = 0
      health.consecutiveGatewayErrors = 0
      health.consecutiveLocalOriginFailures = 0
      changed = true
    }
    if (waiting) this.#armReturn()
    if (changed) this.#components.onChange()
  }
}

/** Envoy's max_ejection_time. */
const EJECTION_MS_MAX = 300_000
