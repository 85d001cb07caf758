import type { ReplayAnswer, ReplayQuery } from './replay.ts'
import type { RequestsAnswer, RequestsQuery } from './requests.ts'
import type { LoadProgress, TypeUrl } from './resources/index.ts'
import type { ReviewAnswer, ReviewQuery } from './review.ts'

/**
 * The one link between an agent and its control plane: discovery deltas, certificate signing, reports and questions,
 * each message one JSON text frame. Shapes of the discovery part follow Envoy's delta xDS.
 * @see https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds
 */
export type AgentMessage = Hello | Subscribe | Acknowledge | Reject | SignRequest | Report | CallResult
export type ControlPlaneMessage = Welcome | Delta | SignResponse | Call

/** The first message of an agent on each connection. */
export interface Hello {
  readonly type: 'hello'
  readonly node: string
  /** Version of the agent's program; another minor version is refused. */
  readonly version: string
  readonly pid: number
  readonly startedAtMs: number
  readonly machine: string
  readonly hbone: { readonly host: string; readonly port: number }
  readonly underlay: { readonly host: string; readonly port: number }
  /** Ports of the admin (15000), metrics (15020) and readiness (15021) servers, where they really listen. */
  readonly ports: Readonly<Record<'admin' | 'metrics' | 'ready', number>>
}

/** The control plane's answer to Hello. */
export interface Welcome {
  readonly type: 'welcome'
  readonly version: string
  readonly trustDomain: string
  readonly clusterId: string
  readonly clusterDomain: string
  readonly network: string
}

/** Wildcard subscription to one type. */
export interface Subscribe {
  readonly type: 'subscribe'
  readonly typeUrl: TypeUrl
  /** What the agent still holds from an earlier connection, name → version: those are not sent again. */
  readonly initialVersions: Readonly<Record<string, string>>
}

export interface Delta {
  readonly type: 'delta'
  readonly typeUrl: TypeUrl
  readonly nonce: string
  readonly upserts: readonly { readonly name: string; readonly version: string; readonly resource: unknown }[]
  readonly removed: readonly string[]
  /** System version of the whole push, for people. */
  readonly systemVersion: string
}

export interface Acknowledge {
  readonly type: 'ack'
  readonly typeUrl: TypeUrl
  readonly nonce: string
}

/** Some resources of a push were refused; the others of the same push apply. */
export interface Reject {
  readonly type: 'nack'
  readonly typeUrl: TypeUrl
  readonly nonce: string
  readonly errors: readonly { readonly name: string; readonly reason: string }[]
}

/** A certificate request for the workload identity in the CSR's URI SAN. */
export interface SignRequest {
  readonly type: 'sign'
  readonly id: number
  readonly csrPem: string
  readonly ttlSeconds: number
}

export type SignResponse =
  | {
      readonly type: 'signed'
      readonly id: number
      /** Leaf first, then intermediates. PEM, one certificate an element. */
      readonly chainPem: readonly string[]
      /** Every root that is trusted now. */
      readonly rootsPem: readonly string[]
    }
  | {
      readonly type: 'signed'
      readonly id: number
      readonly error: { readonly code: string; readonly message: string }
    }

/** One container's part of a pod's state, where there are several. */
export interface ContainerReport {
  readonly name: string
  readonly ready: boolean
  readonly phase: 'waiting' | 'running' | 'terminated'
  readonly reason: string
  readonly message: string
  readonly restarts: number
}

export interface WorkloadReport {
  readonly uid: string
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed'
  readonly ready: boolean
  /** Kubernetes' words: `ContainerCreating`, `ErrImageNeverPull`, `CrashLoopBackOff`, `Error`, `Completed`. */
  readonly reason: string
  readonly message: string
  readonly restarts: number
  readonly startedAtMs: number
  /** Whether the mesh captures it: peers tunnel to it exactly while that is so. */
  readonly captured: boolean
  /** Its way out, for programs outside the agent; pods that nothing captures have one too. */
  readonly capture?: { readonly host: string; readonly port: number }
  /** Its DNS proxy, UDP and TCP. */
  readonly dns?: { readonly host: string; readonly port: number }
  /** Container port → where it really listens on the agent's machine. */
  readonly ports: Readonly<Record<string, { readonly host: string; readonly port: number }>>
  /** Of a child process. */
  readonly pid?: number
  /** Absent: there is one container, of which the whole speaks. */
  readonly containers?: readonly ContainerReport[]
  readonly certificate?: {
    readonly state: 'Initializing' | 'Available' | 'Unavailable'
    readonly notAfterMs: number
    readonly reason: string
    /** Upper case hex; empty while there is none. */
    readonly serialNumber: string
    /** Short fingerprint of the root that it leads to; empty when that is none that is trusted. */
    readonly root: string
    /** Short fingerprints of the roots that its holder believes. */
    readonly trusts: readonly string[]
  }
}

export interface EventReport {
  readonly atMs: number
  readonly severity: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
  /** A workload's uid; absent: the node itself. */
  readonly uid?: string
}

/** News from an agent; absent parts have none. Workloads are whole states, the latest counts. */
export interface Report {
  readonly type: 'report'
  readonly workloads?: readonly WorkloadReport[]
  readonly events?: readonly EventReport[]
  readonly loads?: readonly LoadProgress[]
}

/** A question of the control plane to one agent. */
export interface Call {
  readonly type: 'call'
  readonly id: number
  readonly method: CallMethod
  readonly params: unknown
}

export type CallResult =
  | { readonly type: 'result'; readonly id: number; readonly result: unknown }
  | {
      readonly type: 'result'
      readonly id: number
      readonly error: { readonly code: string; readonly message: string }
    }

/** What a control plane can ask an agent. */
export interface CallMethods {
  /** Live connections and those that ended lately. */
  traffic: { params: TrafficQuery; result: Traffic }
  /** The last lines a workload wrote, or the agent's own when no uid is given. */
  log: { params: { uid?: string; container?: string; tailLines: number }; result: { lines: readonly string[] } }
  /** What one proxy of this node would decide, and why. */
  review: { params: ReviewQuery; result: ReviewAnswer }
  /** Requests that its L7 proxies refused, answered or sent on lately. */
  requests: { params: RequestsQuery; result: RequestsAnswer }
  /** What it would have decided lately under other policies. */
  replay: { params: ReplayQuery; result: ReplayAnswer }
}

export type CallMethod = keyof CallMethods

export interface TrafficQuery {
  /** Leave the connections out and give the edges only. */
  readonly edgesOnly: boolean
}

export interface Traffic {
  readonly atMs: number
  readonly connections: readonly ConnectionView[]
  /** How many ended connections fell out of the agent's ring since its start. */
  readonly lost: number
  readonly edges: readonly EdgeCounters[]
}

/** One peer of a connection, as the access log names it. Empty where unknown. */
export interface PeerView {
  readonly address: string
  readonly workload: string
  readonly namespace: string
  /** SPIFFE id. */
  readonly identity: string
}

/** One half of a connection: the source ztunnel's (`outbound`) or the destination's (`inbound`). */
export interface ConnectionView {
  /** Unique in the lab: `<node>-<number>`. */
  readonly id: string
  /** The CONNECT's trace id, which both halves share. */
  readonly traceId: string
  readonly node: string
  readonly direction: 'inbound' | 'outbound'
  readonly protocol: 'HBONE' | 'TCP'
  readonly source: PeerView
  readonly destination: PeerView & {
    /** Pod `ip:15008` of the tunnel; empty for plain TCP. */
    readonly hboneAddress: string
    /** Host name of the service that was dialled. */
    readonly service: string
  }
  readonly state: 'open' | 'closed' | 'failed'
  /** ztunnel's flags: `-`, `DENY`, `CONNECT`, … */
  readonly responseFlags: string
  readonly error: string
  readonly openedAtMs: number
  readonly durationMs: number
  /** Of the source: sent towards the destination, received from it. */
  readonly bytesSent: number
  readonly bytesReceived: number
}

/**
 * Who talks to whom as one node counted it since its agent's start: its ztunnel connections, its sidecars requests, and
 * connections whose bytes they do not read.
 */
export interface EdgeCounters {
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
