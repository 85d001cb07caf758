import type { ServiceKey } from './workload.ts'

/** Of a sidecar: to where the workload was going, if nobody knows what that is. */
export const PASSTHROUGH_CLUSTER = 'PassthroughCluster'
/** Of a sidecar: nowhere. */
export const BLACK_HOLE_CLUSTER = 'BlackHoleCluster'
/** Of a sidecar: to ports of its workload that no service has. */
export const INBOUND_PASSTHROUGH_CLUSTER = 'InboundPassthroughCluster'

/** A port of a service, or a subset of its workloads, as something that requests are sent to. Resource name: `name`. */
export interface Cluster {
  /** As Istio names it: `outbound|<port>|<subset>|<host>`, `inbound-vip|<port>|http[/<subset>]|<host>`, `inbound|<port>||`. */
  readonly name: string
  readonly endpoints: ClusterEndpoints
  /** `downstream`: as the request came. */
  readonly protocol: 'http1' | 'http2' | 'downstream' | 'tcp'
  readonly loadBalancing: ClusterLoadBalancing
  readonly connectTimeoutMs: number
  readonly circuitBreakers: CircuitBreakers
  /** Of one upstream connection; 0: no limit. */
  readonly maxRequestsPerConnection: number
  readonly maxConnectionDurationMs?: number
  /** Of a connection without an exchange; 0: for ever. */
  readonly idleTimeoutMs: number
  /** Of connections of HTTP/2. */
  readonly http2?: Http2Options
  /** Of connections whose bytes nobody reads. */
  readonly tcpProxy?: TcpProxyOptions
  /** Of TCP connections that lead to an endpoint without a tunnel: a tunnel has its own. */
  readonly tcpKeepalive?: TcpKeepalive
  readonly outlierDetection?: OutlierDetection
  /** To which endpoints a sidecar sends without a tunnel, though they have one. @default 'none' */
  readonly plaintext?: 'sidecars' | 'all'
  /** TLS to the endpoint itself, inside whatever tunnel leads there. */
  readonly tls?: UpstreamTls
  readonly proxyProtocol?: 'V1' | 'V2'
}

/** Where its endpoints come from. */
export type ClusterEndpoints =
  /** The healthy workloads of a service, kept up to date by the addresses that every proxy knows anyway. */
  | {
      readonly kind: 'service'
      readonly service: ServiceKey
      readonly servicePort: number
      /** uids: only these of them. Absent: all. */
      readonly subset?: readonly string[]
    }
  /** Outside the mesh, by name; resolved again when `dnsTtlMs` is over. */
  | {
      readonly kind: 'dns'
      readonly hosts: readonly { readonly host: string; readonly port: number }[]
      readonly dnsTtlMs: number
    }
  /** Where the downstream connection was going. */
  | { readonly kind: 'original-destination' }
  /** The workload of a sidecar itself; port 0: the one that was dialled. */
  | { readonly kind: 'local'; readonly port: number }

export interface ClusterLoadBalancing {
  readonly policy: 'LEAST_REQUEST' | 'ROUND_ROBIN' | 'RANDOM' | 'RING_HASH' | 'MAGLEV' | 'PASSTHROUGH'
  readonly hash?: HashPolicy
  /** Of RING_HASH. @default 1024 */
  readonly minimumRingSize?: number
  /** Of MAGLEV: a prime. @default 65537 */
  readonly maglevTableSize?: number
  readonly warmup?: { readonly durationMs: number; readonly minimumPercent: number; readonly aggression: number }
  readonly locality?: LocalityLoadBalancing
  /** Instead of `locality`. */
  readonly zoneAware?: ZoneAwareLoadBalancing
}

export type HashPolicy =
  | { readonly kind: 'header'; readonly name: string }
  /** Without the cookie in the request one is made, and set in the response when `ttlSeconds` is given. */
  | {
      readonly kind: 'cookie'
      readonly name: string
      readonly path?: string
      readonly ttlSeconds?: number
      /** Of the cookie that is set: `SameSite=Lax`, or `Secure` with an empty value. */
      readonly attributes?: readonly { readonly name: string; readonly value: string }[]
    }
  | { readonly kind: 'source-ip' }
  | { readonly kind: 'query-parameter'; readonly name: string }

/** Localities are `region/zone/subzone`, `*` for any. All but `distribute` needs outlier detection, as Istio has it. */
export interface LocalityLoadBalancing {
  readonly distribute?: readonly { readonly from: string; readonly to: Readonly<Record<string, number>> }[]
  readonly failover?: readonly { readonly from: string; readonly to: string }[]
  readonly failoverPriority?: readonly string[]
  /** Without outlier detection as well: it is what the service itself says of its traffic. @default false */
  readonly isForced?: boolean
}

/**
 * Envoy's zone aware routing: the own zone takes what it has room for, as its share of hosts compares with that of the
 * proxy's own replicas, and the others the rest. Hosts of other regions are used only when those of the own are gone.
 */
export interface ZoneAwareLoadBalancing {
  /** With fewer healthy hosts zones play no part. */
  readonly minClusterSize: number
  /** Regions. */
  readonly failover?: readonly { readonly from: string; readonly to: string }[]
  readonly failoverPriority?: readonly string[]
}

export interface Http2Options {
  /** Exchanges at once on one connection; the peer may allow fewer. */
  readonly maxConcurrentStreams?: number
  readonly keepalive?: Http2Keepalive
}

/** PINGs on a connection, which is closed when one of them is not answered in time. */
export interface Http2Keepalive {
  readonly intervalMs: number
  readonly timeoutMs: number
}

/** 0: no limit. */
export interface TcpProxyOptions {
  /** Without a byte in either direction. */
  readonly idleTimeoutMs: number
  readonly maxConnectionDurationMs: number
}

/** Absent: as the system has it. */
export interface TcpKeepalive {
  readonly probes?: number
  /** Of silence before the first probe. */
  readonly timeSeconds?: number
  readonly intervalSeconds?: number
}

/** Absent: no limit. */
export interface CircuitBreakers {
  readonly maxConnections?: number
  readonly maxPendingRequests?: number
  readonly maxRequests?: number
  readonly maxRetries?: number
  readonly retryBudget?: RetryBudget
}

export interface RetryBudget {
  /** Of requests in flight. */
  readonly percent: number
  readonly minRetryConcurrency: number
  /** Each request counts for so long from its start, whether it is over or not. Absent: those in flight count. */
  readonly intervalMs?: number
}

export interface OutlierDetection {
  /** 0: off. */
  readonly consecutive5xx: number
  readonly consecutiveGatewayErrors: number
  readonly splitExternalLocalOriginErrors: boolean
  readonly consecutiveLocalOriginFailures: number
  readonly intervalMs: number
  readonly baseEjectionTimeMs: number
  readonly maxEjectionPercent: number
  /** With a smaller share of healthy hosts all of them are used, ejected or not: Envoy's panic threshold. */
  readonly minHealthPercent: number
  /** What counts as a failure, and nothing else does. @default all from 500 */
  readonly errorCodes?: readonly number[]
}

export interface UpstreamTls {
  readonly mode: 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL'
  readonly sni?: string
  /** Names the certificate must have; empty: the host name. */
  readonly subjectAltNames: readonly string[]
  /** PEM; absent: the system's roots. */
  readonly caPem?: string
  readonly certificatePem?: string
  readonly keyPem?: string
  readonly insecureSkipVerify: boolean
}
