import type { HttpAuthorization, JwtRequirement } from '@ambient-lab/policy'
import type { ExtAuthz } from './ext-authz.ts'
import type { RateLimitService } from './rate-limit.ts'
import type { VirtualHost } from './route.ts'
import type { ServiceKey } from './workload.ts'

/**
 * What one proxy does with the traffic of one destination: a service's port, a workload, or a gateway's listener.
 * Resource name: `<proxy>|<destination>|<port>`.
 */
export interface FilterChain {
  readonly name: string
  /** Resource name of its L7Proxy; of what sidecars send, the group that shares it (`sidecarGroup`). */
  readonly proxy: string
  readonly match: FilterChainMatch
  /** Of `inbound`: which connections are let in. A tunnel always is. @default PERMISSIVE */
  readonly mutualTls?: 'STRICT' | 'PERMISSIVE' | 'DISABLE'
  /** Set for one whose listener ends TLS. */
  readonly tls?: DownstreamTls
  readonly http?: HttpConnectionManager
  readonly tcp?: TcpProxy
  /** Neither is a protocol nobody declared: the first bytes tell whether it is HTTP (`http`) or not (`tcp`). */
  readonly sniff?: boolean
}

export type FilterChainMatch =
  | { readonly kind: 'service'; readonly service: ServiceKey; readonly port: number }
  /** Of workload-addressed traffic; port 0: every port. */
  | { readonly kind: 'workload'; readonly uid: string; readonly port: number }
  /** Of a gateway; `serverNames` are SNI's, empty for all. */
  | { readonly kind: 'listener'; readonly port: number; readonly serverNames: readonly string[] }
  /** Of a sidecar: what its own workload serves; port 0: on every port that no other chain is for. */
  | { readonly kind: 'inbound'; readonly port: number }

export interface DownstreamTls {
  readonly mode: 'SIMPLE' | 'MUTUAL' | 'OPTIONAL_MUTUAL' | 'PASSTHROUGH' | 'ISTIO_MUTUAL'
  readonly certificates: readonly { readonly certificatePem: string; readonly keyPem: string }[]
  readonly clientCaPem?: string
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
}

export interface HttpConnectionManager {
  /** Envoy's name for it in logs, `inbound_0.0.0.0_80` like. */
  readonly statPrefix: string
  readonly virtualHosts: readonly VirtualHost[]
  readonly jwt?: JwtRequirement
  /** All policies that hold here, in no order that means anything. */
  readonly authorization?: readonly HttpAuthorization[]
  /** The providers that CUSTOM policies name and that can be asked. */
  readonly extAuthz?: readonly ExtAuthz[]
  /** Who is asked with the `rate-limit` actions of routes. */
  readonly rateLimit?: RateLimitService
}

export interface TcpProxy {
  /** The first that matches. */
  readonly routes: readonly TcpRoute[]
  /** Without what needs HTTP. */
  readonly authorization?: readonly HttpAuthorization[]
  readonly extAuthz?: readonly ExtAuthz[]
}

export interface TcpRoute {
  readonly name: string
  /** SNI of the client hello; empty: any, and traffic without TLS. */
  readonly serverNames: readonly string[]
  readonly destinationCidrs: readonly string[]
  /** Of a route for sidecars: only of workloads with these labels. */
  readonly sourceLabels?: Readonly<Record<string, string>>
  readonly backends: readonly { readonly cluster?: string; readonly weight: number }[]
}
