/**
 * A question about one hop of a way that nobody has gone yet: what would this proxy decide, and why. Each proxy answers
 * for itself, with the functions that decide when it is real; the control plane follows the answers from hop to hop.
 */
export type ReviewQuery = SourceReviewQuery | ProxyReviewQuery | DestinationReviewQuery

/** To an L7 proxy: about a request that nobody sent, or one that somebody did. */
export type ProxyReviewQuery = WaypointReviewQuery | RequestReviewQuery

/** To the ztunnel of the workload that would dial, or to its sidecar. */
export interface SourceReviewQuery {
  readonly at: 'source'
  /** uid of the workload. */
  readonly uid: string
  /** As a program would name it: a host name of the lab, or an IP address. */
  readonly host: string
  readonly port: number
  /** Sidecars read it. */
  readonly request?: ReviewedRequest
}

/** To the waypoint in between: a request, or a connection where the destination speaks no HTTP. */
export interface WaypointReviewQuery {
  readonly at: 'waypoint'
  /** uid of the waypoint's pod. */
  readonly uid: string
  /** What the tunnel was opened to: `ip:port` as the program dialled it. */
  readonly authority: string
  /** SPIFFE id of the caller. */
  readonly identity: string
  /** IP of the workload that dials. */
  readonly sourceIp: string
  readonly request: ReviewedRequest
}

/** To the replica that remembers the request. It alone knows the headers, and asks itself what it would decide now. */
export interface RequestReviewQuery {
  readonly at: 'request'
  /** uid of the proxy's pod. */
  readonly uid: string
  /** As RequestView has it. */
  readonly serial: number
}

export interface ReviewedRequest {
  readonly method: string
  /** With its query. */
  readonly path: string
  /** `Host`. */
  readonly authority: string
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
}

/** To the ztunnel of the workload that would be reached, or to its sidecar. */
export interface DestinationReviewQuery {
  readonly at: 'destination'
  readonly uid: string
  readonly protocol: 'HBONE' | 'TCP'
  /** What a CONNECT would ask for, or where plain bytes would go: `ip:port`. */
  readonly authority: string
  /** SPIFFE id of whoever opens the tunnel; empty for plain bytes. */
  readonly identity: string
  /** IP of the workload that dials. */
  readonly sourceIp: string
  /** Sidecars read it. */
  readonly request?: ReviewedRequest
}

export interface ReviewAnswer {
  /** In the order of the way; after one that says `denied` come no more. */
  readonly checkpoints: readonly Checkpoint[]
  /** Where the way goes on; absent where it ends: refused, arrived, or out of the mesh. */
  readonly next?: ReviewHop
}

export interface ReviewHop {
  readonly kind: 'waypoint' | 'destination'
  readonly uid: string
  readonly node: string
  readonly protocol: 'HBONE' | 'TCP'
  readonly authority: string
  readonly identity: string
  readonly sourceIp: string
  /** `namespace/hostname` of the service that was meant; absent when a workload was dialled. */
  readonly service?: string
}

/** One decision on the way. */
export interface Checkpoint {
  readonly point: CheckpointName
  /** Who decides: `ztunnel n2`, `waypoint shop/wp`, `sidecar shop/cart-1`. */
  readonly at: string
  readonly verdict: 'ok' | 'skipped' | 'denied'
  /** What it looked at. */
  readonly saw: string
  readonly reason: string
  /** Of a refusal: the flag that the record would show. */
  readonly responseFlags?: string
  /** What an HTTP client is answered; of a refusal, or of a waypoint that answers by itself. */
  readonly httpStatus?: number
  /** Of a policy's refusal: the smallest changes that turn it round, together. */
  readonly fix?: readonly string[]
  /** Other late decisions that the fix would turn round as well. */
  readonly also?: readonly string[]
  readonly policies?: readonly PolicyReview[]
}

export type CheckpointName =
  | 'capture'
  | 'name'
  | 'route'
  | 'waypoint'
  | 'endpoint'
  | 'certificate'
  | 'authority'
  | 'custom'
  | 'jwt'
  | 'audit'
  | 'dry-run'
  | 'deny'
  | 'allow'
  | 'listener'
  | 'chain'

/** One policy as a decision met it. */
export interface PolicyReview {
  /** `namespace/name`. */
  readonly policy: string
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM'
  readonly dryRun: boolean
  readonly matched: boolean
  readonly fields: readonly FieldReview[]
}

/** One field of a rule; those behind the first that failed were not asked. */
export interface FieldReview {
  /** Index of the rule, from 0. */
  readonly rule: number
  /** As the YAML writes it: `from.source.principals`. */
  readonly field: string
  readonly wanted: readonly string[]
  readonly got: string
  readonly held: boolean
}
