import type { Resource } from '@ambient-lab/api'

/** Everything the API answered last, as it came. The model is computed from it and from the one before. */
export interface LabSnapshot {
  readonly lab: string
  readonly atMs: number
  /** When the API answered last; earlier than atMs while it is silent. */
  readonly contactAtMs: number
  readonly nodes: readonly Resource[]
  readonly namespaces: readonly Resource[]
  readonly deployments: readonly Resource[]
  readonly pods: readonly Resource[]
  readonly services: readonly Resource[]
  readonly faults: readonly Resource[]
  readonly loads: readonly Resource[]
  readonly events: readonly Resource[]
  readonly connections: readonly ConnectionObject[]
  readonly edges: readonly EdgeObject[]
  /** Connections that ended and fell out of an agent's memory before anybody asked. */
  readonly lost: number
  readonly silentNodes: readonly string[]
}

export interface PeerSpec {
  readonly address: string
  readonly workload: string
  readonly namespace: string
  readonly identity: string
}

/** `/apis/ambient.lab/v1/connections`: one half of a connection as one ztunnel saw it. */
export interface ConnectionObject {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly id: string
    readonly traceId: string
    readonly node: string
    readonly direction: 'inbound' | 'outbound'
    readonly protocol: 'HBONE' | 'TCP'
    readonly source: PeerSpec
    readonly destination: PeerSpec & { readonly hboneAddress: string; readonly service: string }
    readonly state: 'open' | 'closed' | 'failed'
    readonly responseFlags: string
    readonly error: string
    readonly openedAtMs: number
    readonly durationMs: number
    readonly bytesSent: number
    readonly bytesReceived: number
  }
}

/** `/apis/ambient.lab/v1/edges`: counters since the start of the ztunnel that reports. */
export interface EdgeObject {
  readonly spec: {
    readonly node: string
    readonly reporter: 'source' | 'destination'
    readonly sourceWorkload: string
    readonly sourceNamespace: string
    readonly sourcePrincipal: string
    readonly destinationWorkload: string
    readonly destinationNamespace: string
    readonly destinationPrincipal: string
    readonly destinationService: string
    readonly connectionSecurityPolicy: 'mutual_tls' | 'unknown'
    readonly opened: number
    readonly closed: number
    readonly failed: number
    readonly denied: number
    readonly bytesSent: number
    readonly bytesReceived: number
  }
}

export const EMPTY_SNAPSHOT: LabSnapshot = {
  lab: '',
  atMs: 0,
  contactAtMs: 0,
  nodes: [],
  namespaces: [],
  deployments: [],
  pods: [],
  services: [],
  faults: [],
  loads: [],
  events: [],
  connections: [],
  edges: [],
  lost: 0,
  silentNodes: [],
}
