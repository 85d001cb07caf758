import type { SpiffeId } from '@ambient-lab/pki'
import type { CodedError } from '@ambient-lab/std'
import type { ByteStream } from '../stream/byte-stream.ts'

/**
 * Carries multiplexed CONNECT streams between two ztunnels over one authenticated connection.
 * Implementations: `ws-mtls-transport.ts` (the default) and `memory-transport.ts` (simulation); both keep the promises
 * of `transport.conformance.ts`.
 */
export interface Transport {
  /**
   * Opens a connection and authenticates both ends.
   * @throws CodedError CONNECT_FAILED, CONNECT_TIMEOUT, TLS_FAILED, UPGRADE_REFUSED, and about the two identities
   *   CERTIFICATE_UNAVAILABLE (ours), PEER_UNEXPECTED_SAN and the other PEER_ codes of pki (theirs)
   */
  dial(target: DialTarget, signal?: AbortSignal): Promise<TunnelSession>
  /**
   * The same over a stream that stands already and leads, unread, to the listener; it is the session's own from here on.
   * @throws CodedError as `dial`
   */
  dialOver(carrier: ByteStream, target: DialTarget, signal?: AbortSignal): Promise<TunnelSession>
  /** @throws CodedError ADDRESS_IN_USE */
  listen(options: ListenOptions, onSession: (session: TunnelSession) => void): Promise<TransportListener>
}

export interface DialTarget {
  /** Whose certificate we present. */
  readonly source: SpiffeId
  /** The listener: the destination node's. */
  readonly address: { readonly host: string; readonly port: number }
  /** SNI: the pod that is meant, `10-244-1-5.default.pod.cluster.local`. Chooses the certificate of the server. */
  readonly serverName: string
  /** The peer's SPIFFE id must be one of these. */
  readonly expectedIds: readonly SpiffeId[]
  /** Node names, for faults on links. */
  readonly fromNode: string
  readonly toNode: string
}

export interface ListenOptions {
  readonly host: string
  /** 0 chooses a free one. */
  readonly port: number
  readonly node: string
  /** Connections that are no sessions yet; beyond it the newest is hung up on. @default 1024 */
  readonly handshakesMax?: number
}

export interface TransportListener extends AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number }
  /**
   * Takes a connection that did not come in by a socket of its own, as another that was let in: what is made of it
   * is told to `onSession`, what is refused is closed. Its handshakes are bounded as all others are.
   * @param serverName whom it leads to, whatever its SNI says
   */
  accept(carrier: ByteStream, serverName: string): void
  /** Stops accepting, sends GOAWAY on each session. Dispose cuts what is left. */
  drain(): void
}

/** One authenticated connection with its streams. Either end may open streams in principle; HBONE's client does. */
export interface TunnelSession {
  readonly local: SpiffeId
  readonly remote: SpiffeId
  /** Of the accepting end: the SNI that was asked for. Of the dialling end: the one it sent. */
  readonly serverName: string
  readonly remoteAddress: string
  readonly openStreams: number
  /** False once GOAWAY was sent or received or the session closed: existing streams go on, new ones are refused. */
  readonly acceptsStreams: boolean
  /** Whether as many streams are open as this end may open: one more is refused until another ends. */
  readonly isFull: boolean
  /**
   * Asks the peer to CONNECT and waits for its answer.
   * @throws ConnectRejectedError with `status` 400, 401 or 503
   * @throws CodedError SESSION_CLOSED, SESSION_DRAINING, SESSION_FULL, STREAM_REFUSED, STREAM_RESET; the signal's reason
   */
  connect(request: ConnectRequest, signal?: AbortSignal): Promise<ConnectedStream>
  /** The accepting end's handler, set before any stream can arrive. */
  onConnect(handler: (incoming: IncomingConnect) => void): void
  onClose(handler: (reason: CodedError) => void): void
  /** Called each time the last stream ends. */
  onIdle(handler: () => void): void
  /** No new streams; closes when the last one ends. */
  drain(): void
  close(reason: CodedError): void
}

/** CONNECT's header fields, as HBONE has them. */
export interface ConnectRequest {
  /** `ip:port` or `host:port`: where the bytes are meant to go. */
  readonly authority: string
  /** W3C baggage naming the source workload. */
  readonly baggage: string
  /** `for="10.244.1.4:41000";host=reviews.default.svc.cluster.local` */
  readonly forwarded: string
  /** W3C traceparent. */
  readonly traceparent: string
  /** Of a CONNECT inside another one: the network it comes from, in which `forwarded` has its meaning. */
  readonly originNetwork?: string
  /** Of a CONNECT around another one: which proxy of requests it comes from, `waypoint`, `gateway`, `sidecar`. */
  readonly sentBy?: string
}

export interface ConnectedStream {
  readonly stream: ByteStream
  /** Baggage of the destination workload, from the 200. */
  readonly baggage: string
}

export interface IncomingConnect {
  readonly request: ConnectRequest
  /** 200: the upstream connection already stands. Called once, instead of `reject`; also after `signal` aborted. */
  accept(baggage: string): ByteStream
  reject(status: 400 | 401 | 503, reason: string): void
  /** The peer gave up before an answer. */
  readonly signal: AbortSignal
}
