import type { LoadBalancerSettings } from '@ambient-lab/api'
import { parseDuration } from '@ambient-lab/std'
import type { ClusterLoadBalancing, HashPolicy, LocalityLoadBalancing, ZoneAwareLoadBalancing } from '@ambient-lab/xds'

const RING_SIZE_MIN = 1024
const MAGLEV_TABLE_SIZE = 65_537
const WARMUP_MIN_PERCENT = 10
const WARMUP_AGGRESSION = 1
/** Envoy's: below it zones of a cluster play no part. */
const ZONE_AWARE_CLUSTER_SIZE_MIN = 6

export interface BalancedCluster {
  /** Who balances: waypoints know no replicas of their own, so that Istio gives them nothing of zone awareness. */
  readonly proxies: 'waypoint' | 'gateway'
  readonly hasOutlierDetection: boolean
  /** Labels that the traffic distribution of the service names; undefined: it has none. */
  readonly nearnessLabels: readonly string[] | undefined
}

/**
 * How hosts are chosen. Without locality settings nearest first where the service itself says so, else as soon as hosts
 * can be ejected, which is what the mesh's default settings say.
 */
export function loadBalancingOf(
  balancer: LoadBalancerSettings | undefined,
  cluster: BalancedCluster,
): ClusterLoadBalancing {
  const shared = { ...warmup(balancer), ...nearness(balancer, cluster) }
  const { consistentHash } = balancer ?? {}
  if (!consistentHash) return { policy: simplePolicy(balancer?.simple), ...shared }
  const hash = hashPolicy(consistentHash)
  const maglev = consistentHash.maglev !== undefined
  return {
    policy: maglev ? 'MAGLEV' : 'RING_HASH',
    ...(hash && { hash }),
    ...(maglev
      ? { maglevTableSize: consistentHash.maglev?.tableSize || MAGLEV_TABLE_SIZE }
      : {
          minimumRingSize: consistentHash.ringHash?.minimumRingSize || consistentHash.minimumRingSize || RING_SIZE_MIN,
        }),
    ...shared,
  }
}

function simplePolicy(simple: LoadBalancerSettings['simple']): ClusterLoadBalancing['policy'] {
  switch (simple) {
    case 'ROUND_ROBIN':
    case 'RANDOM':
    case 'PASSTHROUGH':
      return simple
    default:
      return 'LEAST_REQUEST'
  }
}

function hashPolicy(hash: NonNullable<LoadBalancerSettings['consistentHash']>): HashPolicy | undefined {
  const { httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName } = hash
  if (httpHeaderName) return { kind: 'header', name: httpHeaderName.toLowerCase() }
  if (httpCookie) {
    const ttlMs = parseDuration(httpCookie.ttl ?? '')
    const attributes = httpCookie.attributes?.map(({ name, value = '' }) => ({ name, value }))
    return {
      kind: 'cookie',
      name: httpCookie.name,
      ...(httpCookie.path && { path: httpCookie.path }),
      ...(ttlMs !== undefined && { ttlSeconds: ttlMs / 1000 }),
      ...(attributes?.length && { attributes }),
    }
  }
  if (useSourceIp) return { kind: 'source-ip' }
  return httpQueryParameterName ? { kind: 'query-parameter', name: httpQueryParameterName } : undefined
}

function warmup(balancer: LoadBalancerSettings | undefined): Pick<ClusterLoadBalancing, 'warmup'> {
  const durationMs = parseDuration(balancer?.warmup?.duration ?? balancer?.warmupDurationSecs ?? '')
  if (!durationMs) return {}
  const { minimumPercent = WARMUP_MIN_PERCENT, aggression = WARMUP_AGGRESSION } = balancer?.warmup ?? {}
  return { warmup: { durationMs, minimumPercent, aggression } }
}

function nearness(
  balancer: LoadBalancerSettings | undefined,
  { proxies, hasOutlierDetection, nearnessLabels }: BalancedCluster,
): Pick<ClusterLoadBalancing, 'locality' | 'zoneAware'> {
  const { zoneAwareLbSetting, localityLbSetting } = balancer ?? {}
  if (zoneAwareLbSetting) {
    return proxies === 'waypoint' || zoneAwareLbSetting.enabled === false
      ? {}
      : { zoneAware: zoneAwareness(zoneAwareLbSetting) }
  }
  if (!localityLbSetting && nearnessLabels) return { locality: { failoverPriority: nearnessLabels, isForced: true } }
  if (!localityLbSetting) return hasOutlierDetection ? { locality: {} } : {}
  return localityLbSetting.enabled === false ? {} : { locality: locality(localityLbSetting) }
}

function zoneAwareness(setting: NonNullable<LoadBalancerSettings['zoneAwareLbSetting']>): ZoneAwareLoadBalancing {
  return { minClusterSize: setting.minClusterSize || ZONE_AWARE_CLUSTER_SIZE_MIN, ...failovers(setting) }
}

function locality(setting: NonNullable<LoadBalancerSettings['localityLbSetting']>): LocalityLoadBalancing {
  const distribute = setting.distribute?.map(({ from = '', to = {} }) => ({ from, to }))
  return { ...(distribute && { distribute }), ...failovers(setting) }
}

function failovers({
  failover,
  failoverPriority,
}: Pick<NonNullable<LoadBalancerSettings['localityLbSetting']>, 'failover' | 'failoverPriority'>): Pick<
  LocalityLoadBalancing,
  'failover' | 'failoverPriority'
> {
  return {
    ...(failover && { failover: failover.map(({ from = '', to = '' }) => ({ from, to })) }),
    ...(failoverPriority && { failoverPriority }),
  }
}
