/**
 * An L7 proxy: a waypoint or a gateway (resource name `namespace/name` of its Gateway), or a sidecar (the workload's
 * uid). Which pods run it follows from `workloads`.
 */
export interface L7Proxy extends ProxyTelemetry {
  readonly name: string
  readonly namespace: string
  /** `east-west` lets other networks in: it reads nothing of what it passes on. */
  readonly kind: 'waypoint' | 'gateway' | 'sidecar' | 'east-west'
  /** uids of the pods that are replicas of it. */
  readonly workloads: readonly string[]
  /** Of a gateway: ports that it listens on, by TCP; traffic is matched to the filter chains of each. */
  readonly ports: readonly ProxyPort[]
  /** Of a sidecar: what it tells of its workload's own calls; `accessLog` and the others are of those to it. Absent: the same. */
  readonly outboundTelemetry?: ProxyTelemetry
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

/** What a proxy tells of requests and connections. */
export interface ProxyTelemetry {
  readonly accessLog: AccessLogConfig
  readonly tracing?: TracingConfig
  /** Metrics that are not told. @default none */
  readonly disabledMetrics?: readonly StandardMetric[]
}

/** Istio's standard metrics, as its Telemetry names them. */
export const STANDARD_METRICS = [
  ...(['REQUEST_COUNT', 'REQUEST_DURATION', 'REQUEST_SIZE', 'RESPONSE_SIZE'] as const),
  ...(['TCP_OPENED_CONNECTIONS', 'TCP_CLOSED_CONNECTIONS', 'TCP_SENT_BYTES', 'TCP_RECEIVED_BYTES'] as const),
  ...(['GRPC_REQUEST_MESSAGES', 'GRPC_RESPONSE_MESSAGES'] as const),
] as const

export type StandardMetric = (typeof STANDARD_METRICS)[number]

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
