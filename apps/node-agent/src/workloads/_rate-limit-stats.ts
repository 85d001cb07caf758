import type { MetLimit } from './_rate-limit-config.ts'

/** Names that are counted; where values are part of them (`detailed_metric`) requests decide how many there are. */
const STATS_MAX = 10_000
const NEAR_LIMIT_RATIO = 0.8
/** As the reference service does for statsd. */
const UNSAFE = /[:|]/g
const IPV4 = /\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}/g

/** Counters under `ratelimit.service`. */
export class RateLimitStats {
  readonly #counters = new Map<string, number>()

  count(name: string, by = 1): void {
    const key = name.replace(UNSAFE, '_').replace(IPV4, (address) => address.replaceAll('.', '_'))
    const before = this.#counters.get(key)
    if (by > 0 && (before !== undefined || this.#counters.size < STATS_MAX)) this.#counters.set(key, (before ?? 0) + by)
  }

  /** @param count with these hits; they may be near the limit in part, and over it in part */
  countHits({ limit, key }: MetLimit, count: number, hits: number): void {
    const most = limit.requestsPerUnit
    const near = Math.floor(most * NEAR_LIMIT_RATIO)
    const over = Math.min(hits, Math.max(0, count - most))
    const add = (name: string, by: number) => this.count(`rate_limit.${key}.${name}`, by)
    add('total_hits', hits)
    add('over_limit', over)
    add('near_limit', Math.max(0, Math.min(count, most) - Math.max(near, count - hits)))
    if (count <= most) add('within_limit', hits)
    if (limit.shadowMode) add('shadow_mode', over)
  }

  /** `name: value` lines, sorted. */
  dump(): string {
    const lines = [...this.#counters].map(([name, value]) => `ratelimit.service.${name}: ${value}\n`)
    return lines.sort().join('')
  }
}
