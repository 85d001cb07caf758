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
  readonly idleTimeoutMs: number
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
}

export type HashPolicy =
  | { readonly kind: 'header'; readonly name: string }
  /** Without the cookie in the request one is made, and set in the response when `ttlSeconds` is given. */
  | { readonly kind: 'cookie'; readonly name: string; readonly path?: string; readonly ttlSeconds?: number }
  | { readonly kind: 'source-ip' }
  | { readonly kind: 'query-parameter'; readonly name: string }

/** Localities are `region/zone/subzone`, `*` for any. Used only with outlier detection, as Istio has it. */
export interface LocalityLoadBalancing {
  readonly distribute?: readonly { readonly from: string; readonly to: Readonly<Record<string, number>> }[]
  readonly failover?: readonly { readonly from: string; readonly to: string }[]
  readonly failoverPriority?: readonly string[]
}

/** Absent: no limit. */
export interface CircuitBreakers {
  readonly maxConnections?: number
  readonly maxPendingRequests?: number
  readonly maxRequests?: number
  readonly maxRetries?: number
  readonly retryBudget?: { readonly percent: number; readonly minRetryConcurrency: number }
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
  readonly minHealthPercent: number
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
