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
  /** Upper bounds of the buckets of histograms that begin from now on. @default Istio's */
  readonly histogramBuckets?: Readonly<Partial<Record<HistogramMetric, readonly number[]>>>
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
  /** Labels that are others than Istio's own, by metric. @default none */
  readonly tagOverrides?: TagOverrides
}

/** By the label's name: a CEL expression that is its value, or null where the label is left out. */
export type TagOverrides = Readonly<Partial<Record<StandardMetric, Readonly<Record<string, string | null>>>>>

/** Istio's standard metrics, as its Telemetry names them. */
export const STANDARD_METRICS = [
  ...(['REQUEST_COUNT', 'REQUEST_DURATION', 'REQUEST_SIZE', 'RESPONSE_SIZE'] as const),
  ...(['TCP_OPENED_CONNECTIONS', 'TCP_CLOSED_CONNECTIONS', 'TCP_SENT_BYTES', 'TCP_RECEIVED_BYTES'] as const),
  ...(['GRPC_REQUEST_MESSAGES', 'GRPC_RESPONSE_MESSAGES'] as const),
] as const

export type StandardMetric = (typeof STANDARD_METRICS)[number]

/** Those of them that are histograms. */
export const HISTOGRAM_METRICS = ['REQUEST_DURATION', 'REQUEST_SIZE', 'RESPONSE_SIZE'] as const

/** Buckets of one histogram, which each of its series has. */
export const HISTOGRAM_BUCKETS_MAX = 200

export type HistogramMetric = (typeof HISTOGRAM_METRICS)[number]

export interface AccessLogConfig {
  readonly enabled: boolean
  readonly encoding: 'TEXT' | 'JSON'
  /** Envoy's format commands; absent: its default line. */
  readonly format?: string
  /** A CEL expression: only what it is true of has a line. */
  readonly filter?: string
}

export interface TracingConfig {
  /** OTLP/HTTP, `http://host:port/v1/traces`, dialled through the mesh when it is a service of it. */
  readonly endpoint: string
  readonly randomSamplingPercent: number
  /** Tags of each span: a text, or the field of the request that has it. */
  readonly customTags: Readonly<Record<string, string | HeaderTag>>
}

export interface HeaderTag {
  readonly header: string
  /** Where there is no such field; absent: then there is no such tag. */
  readonly defaultValue?: string
}
