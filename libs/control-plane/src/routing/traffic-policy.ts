import type {
  ConnectionPoolSettings,
  OutlierDetection as IstioOutlierDetection,
  TcpPoolSettings,
  TrafficPolicy,
} from '@ambient-lab/api'
import { parseDuration } from '@ambient-lab/std'
import type {
  CircuitBreakers,
  Cluster,
  Http2Options,
  OutlierDetection,
  TcpKeepalive,
  TcpProxyOptions,
} from '@ambient-lab/xds'
import type { PortPolicy } from './destination-rule.ts'
import { loadBalancingOf } from './load-balancer.ts'

export type TrafficPolicyFields = Pick<
  Cluster,
  | 'loadBalancing'
  | 'connectTimeoutMs'
  | 'circuitBreakers'
  | 'maxRequestsPerConnection'
  | 'maxConnectionDurationMs'
  | 'idleTimeoutMs'
  | 'http2'
  | 'tcpProxy'
  | 'tcpKeepalive'
  | 'outlierDetection'
  | 'proxyProtocol'
>

/** What a policy is applied to, on which it depends what of it counts. */
export interface PolicyUse {
  /** Who sends; sidecars are as gateways are. */
  readonly proxies: 'waypoint' | 'gateway'
  /** Whether the port itself says that it speaks HTTP/2. */
  readonly isHttp2Port: boolean
  /** What the rule says of all ports and subsets: the one thing that counts for connections nobody reads. */
  readonly whole: TrafficPolicy | undefined
  /** Labels by which endpoints are near, as the service's own traffic distribution has it. @default all are alike */
  readonly nearnessLabels?: readonly string[] | undefined
}

const CONNECT_TIMEOUT_MS = 10_000
const IDLE_TIMEOUT_MS = 3_600_000
const RETRY_PERCENT = 20
const RETRY_CONCURRENCY_MIN = 3
const OUTLIER_5XX = 5
const OUTLIER_LOCAL_ORIGIN = 5
const OUTLIER_INTERVAL_MS = 10_000
const EJECTION_TIME_MS = 30_000
const EJECTION_PERCENT_MAX = 10

const NO_RULE: PolicyUse = { proxies: 'gateway', isHttp2Port: false, whole: undefined }

/**
 * With Istio's defaults: least request, ten seconds to connect, no limits, no outlier detection.
 * @see reference: istio/istio pilot/pkg/networking/core/cluster_traffic_policy.go and cluster_waypoint.go
 */
export function trafficPolicyFields(policy: PortPolicy, use: PolicyUse = NO_RULE): TrafficPolicyFields {
  const { connectionPool: { tcp = {}, http = {} } = {}, outlierDetection, proxyProtocol } = policy
  const maxConnectionDurationMs = parseDuration(tcp.maxConnectionDuration ?? '')
  const { proxies } = use
  const http2 = http2Options(http, use)
  const tcpProxy = tcpProxyOptions(use.whole?.connectionPool?.tcp)
  const tcpKeepalive = tcp.tcpKeepalive && keepaliveOf(tcp.tcpKeepalive)
  return {
    loadBalancing: loadBalancingOf(policy.loadBalancer, {
      proxies,
      hasOutlierDetection: outlierDetection !== undefined,
      nearnessLabels: use.nearnessLabels,
    }),
    connectTimeoutMs: parseDuration(tcp.connectTimeout ?? '') || CONNECT_TIMEOUT_MS,
    circuitBreakers: circuitBreakers({ tcp, http }, policy),
    maxRequestsPerConnection: http.maxRequestsPerConnection ?? 0,
    ...(maxConnectionDurationMs ? { maxConnectionDurationMs } : {}),
    idleTimeoutMs: parseDuration(http.idleTimeout ?? tcp.idleTimeout ?? '') ?? IDLE_TIMEOUT_MS,
    ...(http2 && { http2 }),
    ...(tcpProxy && { tcpProxy }),
    ...(tcpKeepalive && { tcpKeepalive }),
    ...(outlierDetection && { outlierDetection: outlierDetectionOf(outlierDetection, proxies) }),
    ...(proxyProtocol && { proxyProtocol: proxyProtocol.version ?? 'V1' }),
  }
}

/**
 * Only where istiod knows that the cluster speaks HTTP/2 when it comes to them: at a waypoint that is before it looks
 * at h2UpgradePolicy, and nowhere does it know what a client will speak.
 */
function http2Options(
  { maxConcurrentStreams, http2KeepAlive, h2UpgradePolicy, useClientProtocol }: HttpSettings,
  { proxies, isHttp2Port }: PolicyUse,
): Http2Options | undefined {
  const isUpgraded = proxies === 'gateway' && h2UpgradePolicy === 'UPGRADE'
  if (useClientProtocol || !(isHttp2Port || isUpgraded)) return undefined
  const intervalMs = parseDuration(http2KeepAlive?.interval ?? '')
  const timeoutMs = parseDuration(http2KeepAlive?.timeout ?? '')
  const keepalive = intervalMs && timeoutMs ? { intervalMs, timeoutMs } : undefined
  if (!maxConcurrentStreams && !keepalive) return undefined
  return { ...(maxConcurrentStreams && { maxConcurrentStreams }), ...(keepalive && { keepalive }) }
}

type HttpSettings = NonNullable<ConnectionPoolSettings['http']>

function tcpProxyOptions(tcp: TcpPoolSettings | undefined): TcpProxyOptions | undefined {
  if (tcp?.idleTimeout === undefined && tcp?.maxConnectionDuration === undefined) return undefined
  return {
    idleTimeoutMs: parseDuration(tcp.idleTimeout ?? '') ?? IDLE_TIMEOUT_MS,
    maxConnectionDurationMs: parseDuration(tcp.maxConnectionDuration ?? '') ?? 0,
  }
}

/** Whole seconds, as the socket options are. What is 0 is the system's. */
function keepaliveOf({ probes, time, interval }: NonNullable<TcpPoolSettings['tcpKeepalive']>): TcpKeepalive {
  const timeSeconds = wholeSeconds(time)
  const intervalSeconds = wholeSeconds(interval)
  return {
    ...(probes && { probes }),
    ...(timeSeconds && { timeSeconds }),
    ...(intervalSeconds && { intervalSeconds }),
  }
}

function wholeSeconds(duration: string | undefined): number {
  return Math.floor((parseDuration(duration ?? '') ?? 0) / 1000)
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
    ...(retryBudget && { retryBudget: retryBudgetOf(retryBudget) }),
  }
}

function retryBudgetOf({
  percent,
  minRetryConcurrency,
  budgetInterval,
}: NonNullable<TrafficPolicy['retryBudget']>): NonNullable<CircuitBreakers['retryBudget']> {
  const intervalMs = parseDuration(budgetInterval ?? '')
  return {
    percent: percent ?? RETRY_PERCENT,
    minRetryConcurrency: minRetryConcurrency || RETRY_CONCURRENCY_MIN,
    ...(intervalMs ? { intervalMs } : {}),
  }
}

/** Error codes are for all but waypoints: istiod leaves them out there. `consecutiveErrors` it has given up. */
function outlierDetectionOf(outlier: IstioOutlierDetection, proxies: PolicyUse['proxies']): OutlierDetection {
  const errorCodes = proxies === 'gateway' ? outlier.outlierDetectionHttpErrorCodes : undefined
  return {
    consecutive5xx: outlier.consecutive5xxErrors ?? OUTLIER_5XX,
    consecutiveGatewayErrors: outlier.consecutiveGatewayErrors ?? 0,
    splitExternalLocalOriginErrors: outlier.splitExternalLocalOriginErrors ?? false,
    consecutiveLocalOriginFailures: outlier.consecutiveLocalOriginFailures || OUTLIER_LOCAL_ORIGIN,
    intervalMs: parseDuration(outlier.interval ?? '') || OUTLIER_INTERVAL_MS,
    baseEjectionTimeMs: parseDuration(outlier.baseEjectionTime ?? '') || EJECTION_TIME_MS,
    maxEjectionPercent: outlier.maxEjectionPercent || EJECTION_PERCENT_MAX,
    minHealthPercent: outlier.minHealthPercent ?? 0,
    ...(errorCodes?.length && { errorCodes }),
  }
}
