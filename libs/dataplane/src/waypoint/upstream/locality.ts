import type { Locality, LocalityLoadBalancing } from '@ambient-lab/xds'
import type { UpstreamHost } from './host.ts'

/** Of the node that a workload is on. */
export const HOSTNAME_LABEL = 'kubernetes.io/hostname'

/** Hosts that share the traffic of their level in proportion to `weight`. */
export interface LocalityGroup {
  readonly hosts: readonly UpstreamHost[]
  readonly weight: number
}

/** Level 0 gets all traffic as long as enough of it is healthy; what it cannot take goes to the next. */
export type PriorityLevel = readonly LocalityGroup[]

/** Who asks: the proxy's own place, and its labels for `failoverPriority`. */
export interface OwnPlace {
  readonly network: string
  readonly locality: Locality | undefined
  readonly labels: Readonly<Record<string, string>>
}

/** Everybody in one group of one level, where localities play no part. */
export function oneLevel(hosts: readonly UpstreamHost[]): readonly PriorityLevel[] {
  return [[{ hosts, weight: 1 }]]
}

/**
 * Orders hosts by how near they are, as Istio does: `distribute` for the proxy's own locality sets shares and leaves
 * out who is not named; else the labels of `failoverPriority` say who is near; otherwise, and among those where `failover`
 * is there as well, same subzone, zone, region come first, then the region that `failover` names, then the rest.
 * @param hasFailover whether hosts can be ejected: else nobody would ever come to those that are far
 */
export function priorityLevels(
  hosts: readonly UpstreamHost[],
  own: OwnPlace,
  setting: LocalityLoadBalancing,
  hasFailover: boolean,
): readonly PriorityLevel[] {
  const { distribute, failover, failoverPriority } = setting
  if (distribute) {
    const shares = distribute.find(({ from }) => matchesLocality(from, own.locality))
    return shares ? [distributed(hosts, shares.to)] : oneLevel(hosts)
  }
  if (!hasFailover) return oneLevel(hosts)
  const toRegion = failoverRegion(failover, own)
  const distanceOf = (host: UpstreamHost) => distance(host.locality, own.locality, toRegion)
  if (!failoverPriority?.length) return byRank(hosts, distanceOf)
  const mismatchOf = labelMismatch(failoverPriority, own)
  return byRank(hosts, failover?.length ? (host) => mismatchOf(host) * DISTANCES + distanceOf(host) : mismatchOf)
}

/** Where traffic of a region goes next; undefined: anywhere. */
export function failoverRegion(failover: LocalityLoadBalancing['failover'], own: OwnPlace): string | undefined {
  return failover?.find(({ from }) => from === own.locality?.region)?.to
}

/** For each host how far it is from 0, where all labels are as `failoverPriority` wants them. */
export function labelMismatch(failoverPriority: readonly string[], own: OwnPlace): (host: UpstreamHost) => number {
  const wanted = failoverPriority.map((entry) => wantedLabel(entry, own))
  return (host) => firstMismatch(wanted, hostLabels(host))
}

type Label = readonly [key: string, value: string]

/** `key`: as the proxy's own; `key=value`: that value, whatever the proxy's own is. */
function wantedLabel(entry: string, own: OwnPlace): Label {
  const at = entry.indexOf('=')
  if (at >= 0) return [entry.slice(0, at), entry.slice(at + 1)]
  return [entry, { ...own.labels, ...placeLabels(own) }[entry] ?? '']
}

/** How far from 0, where all hold: labels are compared in order, and what is behind the first that differs counts no more. */
function firstMismatch(wanted: readonly Label[], labels: Readonly<Record<string, string>>): number {
  const index = wanted.findIndex(([key, value]) => (labels[key] ?? '') !== value)
  return index < 0 ? 0 : wanted.length - index
}

/**
 * What proxies know of a workload's labels: where it is, and what it is called. Any other is as one that it has not. Of
 * another network's they know the network's name, as Istio has it.
 */
function hostLabels({ workload, network }: UpstreamHost): Readonly<Record<string, string>> {
  if (network) return { 'topology.istio.io/network': network.name }
  if (!workload) return {}
  return {
    ...placeLabels(workload),
    [HOSTNAME_LABEL]: workload.node,
    'service.istio.io/canonical-name': workload.canonicalName,
    'service.istio.io/canonical-revision': workload.canonicalRevision,
  }
}

function placeLabels({ network, locality }: Pick<OwnPlace, 'network'> & { readonly locality?: Locality | undefined }) {
  return {
    'topology.kubernetes.io/region': locality?.region ?? '',
    'topology.kubernetes.io/zone': locality?.zone ?? '',
    'topology.istio.io/subzone': locality?.subzone ?? '',
    'topology.istio.io/network': network,
  }
}

function distributed(hosts: readonly UpstreamHost[], to: Readonly<Record<string, number>>): PriorityLevel {
  const taken = new Set<UpstreamHost>()
  // A narrower pattern is asked before a wider one, whatever the order in the YAML.
  const patterns = Object.entries(to).sort(([a], [b]) => specificity(b) - specificity(a))
  return patterns.flatMap(([pattern, weight]) => {
    const members = hosts.filter((host) => !taken.has(host) && matchesLocality(pattern, host.locality))
    for (const host of members) taken.add(host)
    return weight > 0 ? [{ hosts: members, weight }] : []
  })
}

export function byRank(
  hosts: readonly UpstreamHost[],
  rankOf: (host: UpstreamHost) => number,
): readonly PriorityLevel[] {
  const ranks = new Map<number, UpstreamHost[]>()
  for (const host of hosts) {
    const rank = rankOf(host)
    const members = ranks.get(rank)
    if (members) members.push(host)
    else ranks.set(rank, [host])
  }
  return [...ranks].sort(([a], [b]) => a - b).map(([, members]) => [{ hosts: members, weight: 1 }])
}

/** How many distances there are. */
const DISTANCES = 5

/** 0 for the same subzone, up to 4 for another region. */
function distance(theirs: Locality | undefined, own: Locality | undefined, failoverRegion: string | undefined): number {
  if (!own?.region) return 0
  if (theirs?.region !== own.region) return failoverRegion !== undefined && theirs?.region === failoverRegion ? 3 : 4
  if (theirs.zone !== own.zone) return 2
  return theirs.subzone === own.subzone ? 0 : 1
}

/** `region/zone/subzone`; `*` and what is left out stand for anything. */
export function matchesLocality(pattern: string, locality: Locality | undefined): boolean {
  const own = [locality?.region ?? '', locality?.zone ?? '', locality?.subzone ?? '']
  for (const [index, part] of pattern.split('/').entries()) {
    if (part === '*') return true
    if (part !== own[index]) return false
  }
  return true
}

function specificity(pattern: string): number {
  return pattern.split('/').filter((part) => part !== '*').length
}

/** Envoy's overprovisioning factor: a level is full as long as five of seven of its hosts are healthy. */
export const OVERPROVISIONING = 1.4

/**
 * The share of traffic for each level. @param healthy share of healthy hosts of each level, 0 to 1
 * @returns shares that add up to 1, or zeros when nobody is healthy
 * @see https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority
 */
export function levelShares(healthy: readonly number[]): readonly number[] {
  const capacities = healthy.map((share) => Math.min(1, share * OVERPROVISIONING))
  const total = Math.min(
    1,
    capacities.reduce((sum, capacity) => sum + capacity, 0),
  )
  if (total === 0) return capacities
  let left = 1
  return capacities.map((capacity) => {
    const share = Math.min(left, capacity / total)
    left -= share
    return share
  })
}
