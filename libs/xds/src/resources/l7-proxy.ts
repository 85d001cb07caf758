/**
 * An L7 proxy: a waypoint or a gateway (resource name `namespace/name` of its Gateway), or a sidecar (the workload's
 * uid). Which pods run it follows from `workloads`.
 */
export interface L7Proxy {
  readonly name: string
  readonly namespace: string
  /** `east-west` lets other networks in: it reads nothing of what it passes on. */
  readonly kind: 'waypoint' | 'gateway' | 'sidecar' | 'east-west'
  /** uids of the pods that are replicas of it. */
  readonly workloads: readonly string[]
  /** Of a gateway: ports that it listens on, by TCP; traffic is matched to the filter chains of each. */
  readonly ports: readonly ProxyPort[]
  readonly accessLog: AccessLogConfig
  readonly tracing?: TracingConfig
  /** Of a sidecar. */
  readonly outbound?: OutboundVisibility
  /** Whether requests that it passes on name their client in `x-forwarded-client-cert`. @default false */
  readonly namesClients?: boolean
  readonly pathNormalization: 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES'
}

export interface ProxyPort {
  readonly port: number
  readonly protocol: 'HTTP' | 'TLS' | 'TCP'
}

/** What a sidecar lets its workload reach. */
export interface OutboundVisibility {
  /** What becomes of connections to nowhere that it knows. */
  readonly mode: 'ALLOW_ANY' | 'REGISTRY_ONLY'
  /** `namespace/host name` of the services that it knows, with `*` for any namespace, and names as `*.example.com`; absent: all. */
  readonly hosts?: readonly string[]
}

/** Names the filter chains that the sidecars of a namespace share: what their workloads send. */
export function sidecarGroup(namespace: string): string {
  return `sidecars//${namespace}`
}

export interface AccessLogConfig {
  readonly enabled: boolean
  readonly encoding: 'TEXT' | 'JSON'
  /** Envoy's format commands; absent: its default line. */
  readonly format?: string
}

export interface TracingConfig {
  /** OTLP/HTTP, `http://host:port/v1/traces`, dialled through the mesh when it is a service of it. */
  readonly endpoint: string
  readonly randomSamplingPercent: number
  readonly customTags: Readonly<Record<string, string>>
}
