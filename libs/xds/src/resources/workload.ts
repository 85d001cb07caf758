/** How bytes reach a workload: through an HBONE tunnel, or as they are. */
export type TunnelProtocol = 'NONE' | 'HBONE'

/** `namespace/hostname`, as services are named on the wire. */
export type ServiceKey = string

export interface PortMapping {
  readonly servicePort: number
  readonly targetPort: number
}

/** Where a waypoint or a network's gateway answers: by its service's host name (preferred) or by address. */
export interface GatewayAddress {
  readonly hostname?: { readonly namespace: string; readonly hostname: string }
  readonly address?: { readonly network: string; readonly address: string }
  readonly hboneMtlsPort: number
}

export interface Locality {
  readonly region: string
  readonly zone: string
  readonly subzone: string
}

/** Of a pod with a sidecar. */
export interface WorkloadSidecar {
  /** Where it takes plain connections, each opened by a PROXY protocol header: its node's listener lets nobody in. */
  readonly underlay?: { readonly host: string; readonly port: number }
  /** Whether its PeerAuthentication is DISABLE: other sidecars send to it without mutual TLS. */
  readonly plaintext: boolean
  /** Ports for which the contrary holds. */
  readonly exceptPorts: readonly number[]
}

/**
 * One workload as proxies know it. Field names are those of Istio's workload API in JSON.
 * @see reference: istio/ztunnel proto/workload.proto
 */
export interface Workload {
  /** `<cluster>//Pod/<namespace>/<name>` for a pod; the primary key. */
  readonly uid: string
  readonly name: string
  readonly namespace: string
  /** IPv4 or IPv6 literals; the lab's, never the host's. */
  readonly addresses: readonly string[]
  /** Resolved by DNS on demand, for workloads that have a name instead of an address. */
  readonly hostname: string
  readonly network: string
  readonly tunnelProtocol: TunnelProtocol
  readonly trustDomain: string
  readonly serviceAccount: string
  readonly waypoint?: GatewayAddress
  /** Who lets other networks in to it; absent: nobody does. Workloads of its own network have no use for it. */
  readonly networkGateway?: GatewayAddress
  readonly node: string
  readonly clusterId: string
  readonly locality?: Locality
  readonly canonicalName: string
  readonly canonicalRevision: string
  readonly workloadType: 'DEPLOYMENT' | 'CRONJOB' | 'POD' | 'JOB'
  readonly workloadName: string
  /** Speaks HBONE itself: a waypoint, a gateway, a pod with a sidecar. */
  readonly nativeTunnel: boolean
  /** Where its own HBONE listener is really bound, of one with `nativeTunnel`; its node's serves all others. */
  readonly hbone?: { readonly host: string; readonly port: number }
  readonly sidecar?: WorkloadSidecar
  readonly applicationTunnel?: { readonly protocol: 'NONE' | 'PROXY'; readonly port: number }
  /** `namespace/name` of the selector policies that name this workload. */
  readonly authorizationPolicies: readonly string[]
  readonly status: 'HEALTHY' | 'UNHEALTHY'
  readonly services: Readonly<Record<ServiceKey, readonly PortMapping[]>>
  /** Weight in load balancing. */
  readonly capacity: number
  readonly networkMode: 'STANDARD' | 'HOST_NETWORK'
}
