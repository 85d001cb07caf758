import type { Clock } from '@ambient-lab/std'
import type { CircuitBreakers } from '@ambient-lab/xds'
import { RecentCount } from './recent-count.ts'

/** What a cluster has open at this moment. */
export type Resource = 'connections' | 'pendingRequests' | 'requests' | 'retries'

/** Counts what a cluster has open, and says no at its limits. */
export class CircuitBreaker {
  readonly #open = { connections: 0, pendingRequests: 0, requests: 0, retries: 0 }
  /** Requests that a retry budget over an interval counts. */
  readonly #recent: RecentCount | undefined
  readonly limits: CircuitBreakers

  constructor(components: { readonly clock: Clock }, limits: CircuitBreakers) {
    const intervalMs = limits.retryBudget?.intervalMs
    this.#recent = intervalMs === undefined ? undefined : new RecentCount(components, { intervalMs })
    this.limits = limits
  }

  /** Takes one of a resource; who took gives back by `release`. @returns false at the limit */
  acquire(resource: Resource): boolean {
    if (this.#open[resource] >= this.#limitOf(resource)) return false
    this.#open[resource] += 1
    if (resource === 'requests') this.#recent?.add()
    return true
  }

  /** Takes one whatever the limit says. */
  force(resource: Resource): void {
    this.#open[resource] += 1
  }

  release(resource: Resource): void {
    this.#open[resource] -= 1
  }

  count(resource: Resource): number {
    return this.#open[resource]
  }

  #limitOf(resource: Resource): number {
    const { maxConnections, maxPendingRequests, maxRequests } = this.limits
    switch (resource) {
      case 'connections':
        return maxConnections ?? Number.POSITIVE_INFINITY
      case 'pendingRequests':
        return maxPendingRequests ?? Number.POSITIVE_INFINITY
      case 'requests':
        return maxRequests ?? Number.POSITIVE_INFINITY
      case 'retries':
        return this.#retryLimit()
    }
  }

  /** A budget replaces the fixed limit: a share of what is in flight, or came of late, but never below its floor. */
  #retryLimit(): number {
    const { maxRetries, retryBudget } = this.limits
    if (!retryBudget) return maxRetries ?? Number.POSITIVE_INFINITY
    const counted = this.#recent?.count ?? this.#open.requests + this.#open.pendingRequests
    return Math.max(retryBudget.minRetryConcurrency, Math.floor((counted * retryBudget.percent) / 100))
  }
}
