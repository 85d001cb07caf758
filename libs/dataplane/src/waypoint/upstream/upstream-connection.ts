import type { HeaderMap, OutgoingRequest, ResponseHead } from '../../http1/index.ts'
import type { ResetReason } from '../router/retries.ts'

/** Who asked, and hears the answer. */
export interface ResponseObserver {
  onHead(head: ResponseHead): void
  onBody(piece: Uint8Array): void
  onTrailers(trailers: HeaderMap): void
  /** The response is complete. */
  onEnd(): void
  /** The connection takes more of the request. */
  onDrain(): void
  /** There will be no (more) response. */
  onReset(reason: ResetReason, failure: string): void
}

/** The place for one exchange: a whole connection of HTTP/1.1, or a stream of HTTP/2. */
export interface UpstreamConnection {
  /** Sends a head. @throws HttpCodecError NOT_ENCODABLE, with nothing sent */
  send(request: OutgoingRequest, observer: ResponseObserver): void
  /** @returns false when the caller should wait for `onDrain` */
  writeBody(piece: Uint8Array): boolean
  endRequest(trailers: HeaderMap | undefined): void
  pause(): void
  resume(): void
  /** Bytes are of another protocol from here on. */
  switchProtocols(): void
  /** Nobody wants the answer any more. */
  abandon(): void
  /** It was not used after all. */
  close(): void
}

/** Somebody who wants a place. */
export interface PoolCustomer {
  onConnection(connection: UpstreamConnection): void
  onFailure(reason: ResetReason, failure: string): void
}

/** The way to one host for one client. */
export interface UpstreamPool {
  /** Nothing is open and nobody waits: it can be forgotten. */
  readonly isEmpty: boolean
  /** A place, if there is one at once; the customer is called back otherwise, also when it fails. */
  acquire(customer: PoolCustomer): UpstreamConnection | undefined
  /** The customer does not want a place any more. */
  cancel(customer: PoolCustomer): void
  /** Nothing new; what is in use ends with its exchange. */
  drain(): void
}
