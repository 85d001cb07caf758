import type { L4Traffic } from './l4-traffic.ts'
import type { GatewayAddress, PortMapping } from './workload.ts'

export type RoutingScope = 'REGION' | 'ZONE' | 'SUBZONE' | 'NODE' | 'CLUSTER' | 'NETWORK'

export interface LoadBalancing {
  readonly routingPreference: readonly RoutingScope[]
  readonly mode: 'UNSPECIFIED_MODE' | 'STRICT' | 'FAILOVER' | 'PASSTHROUGH'
  readonly healthPolicy: 'ONLY_HEALTHY' | 'ALLOW_ALL'
}

export interface NetworkAddress {
  readonly network: string
  readonly address: string
  /** Prefix length, for a VIP that is a whole range. */
  readonly length?: number
}

export interface ServicePort extends PortMapping {
  readonly appProtocol: 'UNKNOWN' | 'HTTP11' | 'HTTP2' | 'GRPC' | 'TCP' | 'TLS'
  readonly name?: string
}

/** One service as proxies know it; its resource name is `namespace/hostname`. */
export interface Service {
  readonly name: string
  readonly namespace: string
  readonly hostname: string
  readonly addresses: readonly NetworkAddress[]
  readonly ports: readonly ServicePort[]
  /** SPIFFE ids a client accepts besides the workload's own. */
  readonly subjectAltNames: readonly string[]
  readonly waypoint?: GatewayAddress
  readonly weightedWaypoints?: readonly { readonly destination: GatewayAddress; readonly weight: number }[]
  readonly loadBalancing?: LoadBalancing
  readonly ipFamilies: 'AUTOMATIC' | 'IPV4_ONLY' | 'IPV6_ONLY' | 'DUAL'
  readonly canonical: boolean
  readonly ingressUseWaypoint: boolean
  readonly visibility: 'PUBLIC' | 'NAMESPACE'
  /** Whether other networks may use it; Istio tells a ztunnel of another network's services only where they may. @default LOCAL */
  readonly scope?: 'LOCAL' | 'GLOBAL'
  /** The lab's own. */
  readonly l4Traffic?: L4Traffic
}
