import type { SpiffeId } from '@ambient-lab/pki'
import type { ConnectionFacts, DryRunResult } from '@ambient-lab/policy'
import type { Service, Workload } from '@ambient-lab/xds'
import type { SocketAddress } from '../address.ts'
import type { HeaderMap } from '../http1/index.ts'
import type { GrpcMessageCounter } from './grpc/message-counter.ts'
import { HTTP_FLAGS, type HttpFlag } from './local-replies.ts'
import type { UpstreamHost } from './upstream/host.ts'

/** Who is at the other end of a downstream connection. */
export interface DownstreamPeer {
  /** Proven by the tunnel's certificate; undefined at a gateway without client certificates. */
  readonly identity: SpiffeId | undefined
  /** The workload at the address; undefined when nobody knows it. */
  readonly workload: Workload | undefined
  /** Of the client itself, as HBONE's `forwarded` names it. */
  readonly address: SocketAddress
  /** What the client dialled: VIP:port. */
  readonly local: SocketAddress
  /** The service that was dialled. */
  readonly service: Service | undefined
  /** What policies may ask about the connection. */
  readonly facts: ConnectionFacts
  /** `:scheme` of requests that name none. */
  readonly scheme: 'http' | 'https'
  /** At a sidecar: whether its workload is called, or calls. */
  readonly side?: 'inbound' | 'outbound'
  /** At a sidecar whose workload is called: that. */
  readonly called?: Workload | undefined
  /** What `x-forwarded-client-cert` says of the client to whom this proxy's workload listens. */
  readonly clientCertificate?: string
}

/** What `server` says: Istio names its proxies all but where a sidecar answers its own workload. */
export function serverNameAt({ side }: DownstreamPeer): 'envoy' | 'istio-envoy' {
  return side === 'outbound' ? 'envoy' : 'istio-envoy'
}

const ORDER = Object.keys(HTTP_FLAGS) as HttpFlag[]
const NO_FLAGS: HttpFlag[] = []

/** What is known about one request; filled while it goes on, told once at its end. */
export class RequestRecord {
  readonly peer: DownstreamPeer
  readonly startedAtMs: number
  readonly startedMs: number
  method = ''
  /** As received. */
  path = ''
  authority = ''
  /** `-` of a connection whose bytes nobody read. */
  protocol: 'HTTP/1.1' | 'HTTP/1.0' | 'HTTP/2' | '-' = 'HTTP/1.1'
  isGrpc = false
  /** Of a gRPC call, and of an answer that is gRPC. */
  requestMessages: GrpcMessageCounter | undefined
  responseMessages: GrpcMessageCounter | undefined
  requestHeaders: HeaderMap | undefined
  responseHeaders: HeaderMap | undefined
  responseTrailers: HeaderMap | undefined
  routeName = ''
  cluster = ''
  upstreamHost: UpstreamHost | undefined
  upstreamFailure = ''
  tries = 0
  /** Bytes of the request's body, and of the response's. */
  bytesReceived = 0
  bytesSent = 0
  /** 0: none was sent. */
  status = 0
  details = ''
  terminationDetails = ''
  /** From the start, ms; undefined when it never came. */
  responseStartedMs: number | undefined
  /** From the first byte sent upstream to the head of the response, ms. */
  upstreamServiceMs: number | undefined
  durationMs = 0
  requestId = ''
  traceId = ''
  spanId = ''
  parentSpanId = ''
  isSampled = false
  /** An AUDIT policy matched: Envoy's `access_log_hint`; undefined where there are none. */
  isAudited: boolean | undefined
  /** What policies in dry run would have said; undefined where there are none. */
  dryRuns: DryRunResult | undefined
  #flags = NO_FLAGS

  constructor(init: { readonly peer: DownstreamPeer; readonly startedAtMs: number; readonly startedMs: number }) {
    this.peer = init.peer
    this.startedAtMs = init.startedAtMs
    this.startedMs = init.startedMs
  }

  /** Who answers, as far as that is known. */
  get destination(): Workload | undefined {
    return this.peer.called ?? this.upstreamHost?.workload
  }

  flag(flag: HttpFlag): void {
    if (this.#flags.includes(flag)) return
    this.#flags = [...this.#flags, flag]
    if (this.#flags.length > 1) this.#flags.sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b))
  }

  /** As the log has them: `UF,URX`, `-`. */
  get flags(): string {
    if (this.#flags.length === 0) return '-'
    return this.#flags.length === 1 ? this.#flags[0]! : this.#flags.join(',')
  }

  /** gRPC's status where there is one; empty otherwise, also for what is no status: it becomes a label. */
  get grpcStatus(): string {
    if (!this.isGrpc) return ''
    const text = this.responseTrailers?.get('grpc-status') ?? this.responseHeaders?.get('grpc-status') ?? ''
    return /^\d{1,2}$/.test(text) ? text : ''
  }
}
