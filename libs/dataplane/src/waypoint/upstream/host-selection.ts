import type { Clock } from '@ambient-lab/std'
import type { ClusterLoadBalancing, Locality } from '@ambient-lab/xds'
import { createLoadBalancer } from './create-load-balancer.ts'
import type { UpstreamHost } from './host.ts'
import type { Draw, LoadBalancer } from './load-balancer.ts'
import {
  type LocalityGroup,
  levelShares,
  OVERPROVISIONING,
  type OwnPlace,
  oneLevel,
  type PriorityLevel,
  priorityLevels,
} from './locality.ts'
import { warmUpShare } from './warm-up.ts'
import { WeightedDraw } from './weights.ts'
import { regionLevels, zoneGroups } from './zone-aware.ts'

/** While hosts warm up, their weights are worked out again this often. */
const WARM_UP_STEP_MS = 1_000

export interface HostSelectionInit {
  readonly loadBalancing: ClusterLoadBalancing
  /** Whether hosts can be ejected: nobody fails over to those that are far without outlier detection, as Istio has it. */
  readonly hasFailover: boolean
  readonly own: OwnPlace
  /** Of a level of which a smaller share is healthy, while all levels together cannot take the traffic, all hosts are used. @default 0 */
  readonly panicPercent?: number
}

/** Groups of hosts, and what of the traffic each gets. */
interface View {
  readonly groups: readonly LoadBalancer[]
  readonly shares: WeightedDraw
}

const NOTHING: View = { groups: [], shares: new WeightedDraw([]) }

/** Chooses a host of a cluster: a level and a locality by their health, then one of its hosts by the balancer. */
export class HostSelection {
  readonly #clock: Clock
  readonly #init: HostSelectionInit
  #levels: readonly PriorityLevel[] = []
  #peers: readonly (Locality | undefined)[] = []
  #view: View = NOTHING
  /** Without some levels, by their numbers: retries ask for those. */
  readonly #partialViews = new Map<string, View>()
  #isStale = true
  #isWarming = false
  #warmedAtMs = 0

  constructor(components: { readonly clock: Clock }, init: HostSelectionInit) {
    this.#clock = components.clock
    this.#init = init
  }

  /** The hosts of the cluster are others now. */
  update(hosts: readonly UpstreamHost[]): void {
    const { loadBalancing, hasFailover, own } = this.#init
    const { locality, zoneAware } = loadBalancing
    if (zoneAware) this.#levels = regionLevels(hosts, own, zoneAware)
    else
      this.#levels = locality
        ? priorityLevels(hosts, own, locality, hasFailover || locality.isForced === true)
        : oneLevel(hosts)
    this.#isStale = true
  }

  /** Where the replicas of this proxy are, itself among them; zone aware routing asks for it. */
  updatePeers(peers: readonly (Locality | undefined)[]): void {
    this.#peers = peers
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
    const { avoidLevelsOf } = draw
    const { groups, shares } = avoidLevelsOf?.length ? this.#viewWithout(avoidLevelsOf) : this.#view
    if (groups.length === 1) return groups[0]!.pick(draw)
    // One hash has to find one group as well as one host.
    const index = draw.hash === undefined ? shares.draw(draw.random) : shares.at(draw.hash / 2 ** 32)
    return groups[index]?.pick(draw)
  }

  #rebuild(): void {
    this.#isStale = false
    this.#isWarming = false
    this.#warmedAtMs = this.#clock.monotonic()
    this.#partialViews.clear()
    this.#view = this.#viewOf(this.#levels)
  }

  /** Of all levels when no other has anybody. */
  #viewWithout(hosts: readonly UpstreamHost[]): View {
    const left = this.#levels.filter(
      (level) => !level.some((group) => hosts.some((host) => group.hosts.includes(host))),
    )
    const key = left.map((level) => this.#levels.indexOf(level)).join()
    let view = this.#partialViews.get(key)
    if (!view) {
      view = this.#viewOf(left)
      if (view.groups.length === 0) view = this.#view
      this.#partialViews.set(key, view)
    }
    return view
  }

  #viewOf(all: readonly PriorityLevel[]): View {
    const levels = all.map((level) => ({ level, healthy: healthyShare(level.flatMap(({ hosts }) => hosts)) }))
    const shares = levelShares(levels.map(({ healthy }) => healthy))
    const isShort = levels.reduce((sum, { healthy }) => sum + Math.min(1, healthy * OVERPROVISIONING), 0) < 1
    const isNobodyHealthy = shares.every((share) => share === 0)
    const { panicPercent = 0 } = this.#init
    const groups: LoadBalancer[] = []
    const weights: number[] = []
    for (const [index, { level, healthy }] of levels.entries()) {
      const panics = isShort && 100 * healthy < panicPercent
      const share = isNobodyHealthy && panics ? sizeOf(level) : shares[index]!
      if (share === 0) continue
      const live = panics ? level : this.#liveGroups(level)
      const total = live.reduce((sum, { weight }) => sum + weight, 0)
      for (const { hosts, weight } of live) {
        if (weight === 0 || hosts.length === 0) continue
        weights.push((share * weight) / total)
        groups.push(this.#balancerOf(hosts, panics))
      }
    }
    return { groups, shares: new WeightedDraw(weights) }
  }

  /** Zones are weighed in the first level alone, and not where a hash shall find the same host wherever it comes from. */
  #liveGroups(level: PriorityLevel): readonly LocalityGroup[] {
    const { loadBalancing, own } = this.#init
    const { zoneAware, policy } = loadBalancing
    if (zoneAware && level === this.#levels[0] && policy !== 'RING_HASH' && policy !== 'MAGLEV') {
      const healthy = level.flatMap(({ hosts }) => hosts.filter(isHealthy))
      const zones = zoneGroups(healthy, own, this.#peers, zoneAware.minClusterSize)
      if (zones) return zones
    }
    return level.map(({ hosts, weight }) => ({
      hosts,
      weight: weight * Math.min(1, healthyShare(hosts) * OVERPROVISIONING),
    }))
  }

  #balancerOf(hosts: readonly UpstreamHost[], panics: boolean): LoadBalancer {
    const { loadBalancing } = this.#init
    const nowMs = this.#clock.monotonic()
    const weighted = hosts.flatMap((host) => {
      if (panics ? host.weight === 0 : !isHealthy(host)) return []
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
  for (const host of hosts) if (isHealthy(host)) healthy += 1
  return healthy / hosts.length
}

function sizeOf(level: PriorityLevel): number {
  return level.reduce((sum, { hosts }) => sum + hosts.length, 0)
}

function isHealthy({ health, weight }: UpstreamHost): boolean {
  return !health.isEjected && weight > 0
}
