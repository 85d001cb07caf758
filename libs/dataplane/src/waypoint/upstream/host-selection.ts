import type { Clock } from '@ambient-lab/std'
import type { ClusterLoadBalancing } from '@ambient-lab/xds'
import { createLoadBalancer } from './create-load-balancer.ts'
import type { UpstreamHost } from './host.ts'
import type { Draw, LoadBalancer } from './load-balancer.ts'
import { levelShares, type OwnPlace, oneLevel, type PriorityLevel, priorityLevels } from './locality.ts'
import { warmUpShare } from './warm-up.ts'
import { WeightedDraw } from './weights.ts'

/** While hosts warm up, their weights are worked out again this often. */
const WARM_UP_STEP_MS = 1_000

export interface HostSelectionInit {
  readonly loadBalancing: ClusterLoadBalancing
  /** Localities count only with outlier detection, as Istio has it. */
  readonly isLocalityAware: boolean
  readonly own: OwnPlace
}

/** Chooses a host of a cluster: a level and a locality by their health, then one of its hosts by the balancer. */
export class HostSelection {
  readonly #clock: Clock
  readonly #init: HostSelectionInit
  #levels: readonly PriorityLevel[] = []
  #groups: readonly LoadBalancer[] = []
  #draw = new WeightedDraw([])
  #isStale = true
  #isWarming = false
  #warmedAtMs = 0

  constructor(components: { readonly clock: Clock }, init: HostSelectionInit) {
    this.#clock = components.clock
    this.#init = init
  }

  /** The hosts of the cluster are others now. */
  update(hosts: readonly UpstreamHost[]): void {
    const { loadBalancing, isLocalityAware, own } = this.#init
    const { locality } = loadBalancing
    this.#levels = locality && isLocalityAware ? priorityLevels(hosts, own, locality) : oneLevel(hosts)
    this.#isStale = true
  }

  /** A host was ejected, or came back. */
  healthChanged(): void {
    this.#isStale = true
  }

  /** @returns undefined when no host is healthy */
  pick(draw: Draw): UpstreamHost | undefined {
    if (this.#isStale || (this.#isWarming && this.#clock.monotonic() - this.#warmedAtMs >= WARM_UP_STEP_MS)) {
      this.#rebuild()
    }
    const groups = this.#groups
    if (groups.length === 1) return groups[0]!.pick(draw)
    // One hash has to find one group as well as one host.
    const index = draw.hash === undefined ? this.#draw.draw(draw.random) : this.#draw.at(draw.hash / 2 ** 32)
    return groups[index]?.pick(draw)
  }

  #rebuild(): void {
    this.#isStale = false
    this.#isWarming = false
    this.#warmedAtMs = this.#clock.monotonic()
    const shares = levelShares(this.#levels.map((level) => healthyShare(level.flatMap(({ hosts }) => hosts))))
    const groups: LoadBalancer[] = []
    const weights: number[] = []
    for (const [index, level] of this.#levels.entries()) {
      const live = level
        .map(({ hosts, weight }) => ({ weight: weight * Math.min(1, healthyShare(hosts) * 1.4), balancer: hosts }))
        .filter(({ weight }) => weight > 0)
      const total = live.reduce((sum, { weight }) => sum + weight, 0)
      for (const { weight, balancer } of live) {
        if (shares[index] === 0) continue
        weights.push((shares[index]! * weight) / total)
        groups.push(this.#balancerOf(balancer))
      }
    }
    this.#groups = groups
    this.#draw = new WeightedDraw(weights)
  }

  #balancerOf(hosts: readonly UpstreamHost[]): LoadBalancer {
    const { loadBalancing } = this.#init
    const nowMs = this.#clock.monotonic()
    const weighted = hosts.flatMap((host) => {
      if (host.health.isEjected || host.weight === 0) return []
      const share = warmUpShare(loadBalancing.warmup, nowMs - host.addedMs)
      if (share < 1) this.#isWarming = true
      return [{ host, weight: host.weight * share }]
    })
    return createLoadBalancer(weighted, loadBalancing)
  }
}

function healthyShare(hosts: readonly UpstreamHost[]): number {
  if (hosts.length === 0) return 0
  let healthy = 0
  for (const { health, weight } of hosts) if (!health.isEjected && weight > 0) healthy += 1
  return healthy / hosts.length
}
