import type {
  ConnectionPoolSettings,
  DestinationRule,
  OutlierDetection as IstioOutlierDetection,
  LoadBalancerSettings,
  TrafficPolicy,
} from '@ambient-lab/api'
import { parseDuration } from '@ambient-lab/std'
import type {
  CircuitBreakers,
  Cluster,
  ClusterLoadBalancing,
  HashPolicy,
  LocalityLoadBalancing,
  OutlierDetection,
} from '@ambient-lab/xds'
import type { TranslationView } from '../translate/view.ts'
import { isExportedTo } from './visibility.ts'

/** What holds for one port of a host. */
export type PortPolicy = Omit<TrafficPolicy, 'portLevelSettings'>

export type TrafficPolicyFields = Pick<
  Cluster,
  | 'loadBalancing'
  | 'connectTimeoutMs'
  | 'circuitBreakers'
  | 'maxRequestsPerConnection'
  | 'maxConnectionDurationMs'
  | 'idleTimeoutMs'
  | 'outlierDetection'
  | 'proxyProtocol'
>

const CONNECT_TIMEOUT_MS = 10_000
const IDLE_TIMEOUT_MS = 3_600_000
const RING_SIZE_MIN = 1024
const MAGLEV_TABLE_SIZE = 65_537
const WARMUP_MIN_PERCENT = 10
const WARMUP_AGGRESSION = 1
const RETRY_BUDGET = { percent: 20, minRetryConcurrency: 3 }

/** A DestinationRule, or several of one namespace and host as if they were one. */
export interface EffectiveRule {
  readonly trafficPolicy: TrafficPolicy | undefined
  readonly subsets: NonNullable<NonNullable<DestinationRule['spec']>['subsets']>
}

/**
 * What DestinationRules say about a host: those of the service's own namespace, else those of the root namespace. The
 * exact host counts before a wildcard; rules of one host are put together, the oldest's traffic policy first.
 */
export function destinationRuleOf(
  view: TranslationView,
  hostname: string,
  namespace: string,
): EffectiveRule | undefined {
  const all = view.routes.destinationRulesOf(hostname).filter((rule) => isExportedTo(rule, namespace))
  for (const home of [namespace, view.mesh.rootNamespace]) {
    const found = all.filter(({ metadata }) => metadata.namespace === home)
    const hosts = found.map((rule) => view.routes.hostOf(rule)).sort((a, b) => b.length - a.length)
    const best = hosts.includes(hostname) ? hostname : hosts[0]
    const rules = found.filter((rule) => view.routes.hostOf(rule) === best)
    if (rules.length > 0) return merged(rules)
  }
  return undefined
}

function merged(rules: readonly DestinationRule[]): EffectiveRule {
  const subsets = new Map<string, EffectiveRule['subsets'][number]>()
  for (const { spec } of rules) {
    for (const subset of spec?.subsets ?? []) if (!subsets.has(subset.name)) subsets.set(subset.name, subset)
  }
  const trafficPolicy = rules.find(({ spec }) => spec?.trafficPolicy)?.spec?.trafficPolicy
  return { trafficPolicy, subsets: [...subsets.values()] }
}

/**
 * The traffic policy of one port: what its subset says counts before what the rule says, field by field; settings of
 * the port replace all of them.
 */
export function trafficPolicyOf(
  rule: EffectiveRule | undefined,
  subset: EffectiveRule['subsets'][number] | undefined,
  port: number,
): PortPolicy {
  const whole = [rule?.trafficPolicy, subset?.trafficPolicy]
  const joined: TrafficPolicy = { ...whole[0], ...whole[1] }
  const { portLevelSettings: _, ...policy } = joined
  const ofPort = (from: TrafficPolicy | undefined) =>
    from?.portLevelSettings?.find((settings) => settings.port?.number === port)
  return ofPort(whole[1]) ?? ofPort(whole[0]) ?? policy
}

/** With Istio's defaults: least request, ten seconds to connect, no limits, no outlier detection. */
export function trafficPolicyFields(policy: PortPolicy): TrafficPolicyFields {
  const { connectionPool: { tcp = {}, http = {} } = {}, outlierDetection, proxyProtocol } = policy
  const maxConnectionDurationMs = parseDuration(tcp.maxConnectionDuration ?? '')
  return {
    loadBalancing: loadBalancingOf(policy.loadBalancer),
    connectTimeoutMs: parseDuration(tcp.connectTimeout ?? '') || CONNECT_TIMEOUT_MS,
    circuitBreakers: circuitBreakers({ tcp, http }, policy),
    maxRequestsPerConnection: http.maxRequestsPerConnection ?? 0,
    ...(maxConnectionDurationMs ? { maxConnectionDurationMs } : {}),
    idleTimeoutMs: parseDuration(http.idleTimeout ?? tcp.idleTimeout ?? '') ?? IDLE_TIMEOUT_MS,
    ...(outlierDetection && { outlierDetection: outlierDetectionOf(outlierDetection) }),
    ...(proxyProtocol && { proxyProtocol: proxyProtocol.version ?? 'V1' }),
  }
}

function circuitBreakers(
  { tcp = {}, http = {} }: ConnectionPoolSettings,
  { retryBudget }: PortPolicy,
): CircuitBreakers {
  return {
    ...(tcp.maxConnections ? { maxConnections: tcp.maxConnections } : {}),
    ...(http.http1MaxPendingRequests ? { maxPendingRequests: http.http1MaxPendingRequests } : {}),
    ...(http.http2MaxRequests ? { maxRequests: http.http2MaxRequests } : {}),
    ...(http.maxRetries ? { maxRetries: http.maxRetries } : {}),
    ...(retryBudget && { retryBudget: { ...RETRY_BUDGET, ...retryBudget } }),
  }
}

function outlierDetectionOf(outlier: IstioOutlierDetection): OutlierDetection {
  return {
    consecutive5xx: outlier.consecutive5xxErrors ?? outlier.consecutiveErrors ?? 5,
    consecutiveGatewayErrors: outlier.consecutiveGatewayErrors ?? 0,
    splitExternalLocalOriginErrors: outlier.splitExternalLocalOriginErrors ?? false,
    consecutiveLocalOriginFailures: outlier.consecutiveLocalOriginFailures ?? 5,
    intervalMs: parseDuration(outlier.interval ?? '') || 10_000,
    baseEjectionTimeMs: parseDuration(outlier.baseEjectionTime ?? '') || 30_000,
    maxEjectionPercent: outlier.maxEjectionPercent || 10,
    minHealthPercent: outlier.minHealthPercent ?? 0,
  }
}

function loadBalancingOf(balancer: LoadBalancerSettings | undefined): ClusterLoadBalancing {
  const shared = { ...warmup(balancer), ...locality(balancer) }
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
    return {
      kind: 'cookie',
      name: httpCookie.name,
      ...(httpCookie.path && { path: httpCookie.path }),
      ...(ttlMs !== undefined && { ttlSeconds: ttlMs / 1000 }),
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

function locality(balancer: LoadBalancerSettings | undefined): { locality?: LocalityLoadBalancing } {
  const setting = balancer?.localityLbSetting
  if (!setting || setting.enabled === false) return {}
  const distribute = setting.distribute?.map(({ from = '', to = {} }) => ({ from, to }))
  const failover = setting.failover?.map(({ from = '', to = '' }) => ({ from, to }))
  return {
    locality: {
      ...(distribute && { distribute }),
      ...(failover && { failover }),
      ...(setting.failoverPriority && { failoverPriority: setting.failoverPriority }),
    },
  }
}
