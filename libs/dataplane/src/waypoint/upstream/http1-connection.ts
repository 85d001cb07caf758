import { CodedError } from '@ambient-lab/std'
import {
  type HeaderMap,
  type HttpCodecError,
  type OutgoingRequest,
  RequestEncoder,
  ResponseDecoder,
  type ResponseHead,
  type ResponseSink,
} from '../../http1/index.ts'
import type { ByteSink, ByteStream } from '../../stream/byte-stream.ts'
import type { ResponseObserver, UpstreamConnection } from './upstream-connection.ts'

/** Where a connection goes when an exchange is over. */
export interface ConnectionOwner {
  onIdle(connection: Http1Connection): void
  onClosed(connection: Http1Connection): void
}

/** A connection to an upstream: one exchange at a time, many one after the other. */
export class Http1Connection implements UpstreamConnection, ByteSink, ResponseSink {
  readonly stream: ByteStream
  readonly openedMs: number
  /** Since when nobody uses it. */
  idleSinceMs = 0
  requests = 0
  readonly #owner: ConnectionOwner
  readonly #encoder: RequestEncoder
  readonly #decoder: ResponseDecoder
  #observer: ResponseObserver | undefined
  #keepAlive = true
  #switched = false
  #paused = false
  #requestDone = false
  #responseDone = false
  #closed = false

  constructor(stream: ByteStream, owner: ConnectionOwner, openedMs: number) {
    this.stream = stream
    this.openedMs = openedMs
    this.#owner = owner
    this.#encoder = new RequestEncoder(stream)
    this.#decoder = new ResponseDecoder(this)
    stream.start(this)
  }

  get isUsable(): boolean {
    return !this.#closed && this.#keepAlive
  }

  /** Sends a head. @throws HttpCodecError NOT_ENCODABLE, with nothing sent */
  send(request: OutgoingRequest, observer: ResponseObserver): void {
    this.#encoder.writeHead(request)
    this.#observer = observer
    this.#requestDone = false
    this.#responseDone = false
    this.requests += 1
    this.#decoder.expect({ method: request.method, upgrade: request.upgrade !== undefined })
  }

  writeBody(piece: Uint8Array): boolean {
    if (this.#closed) return true
    return this.#switched ? this.stream.write(piece) : this.#encoder.writeBody(piece)
  }

  endRequest(trailers: HeaderMap | undefined): void {
    if (this.#closed) return
    this.#requestDone = true
    if (this.#switched) {
      this.stream.end()
      return
    }
    this.#encoder.end(trailers)
    if (this.#responseDone) this.#exchangeOver()
  }

  /** Bytes are of another protocol from here on; those that came with the head are delivered at once. */
  switchProtocols(): void {
    this.#switched = true
    this.#keepAlive = false
    if (this.#encoder.open) this.#encoder.end()
    for (const piece of this.#decoder.takeRest()) this.#observer?.onBody(piece)
  }

  /** Holds the response back. */
  pause(): void {
    this.#paused = true
    this.stream.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.stream.resume()
  }

  /** Nobody wants the answer any more: a connection with half an exchange on it is of no use. */
  abandon(): void {
    this.#observer = undefined
    this.#keepAlive = false
    this.stream.reset(new CodedError('REQUEST_CANCELLED', 'the request was given up', { origin: 'local' }))
  }

  /** Ends an idle connection. */
  close(): void {
    this.#keepAlive = false
    this.stream.end()
  }

  onData(chunk: Uint8Array): void {
    if (this.#switched) this.#observer?.onBody(chunk)
    else this.#decoder.push(chunk)
  }

  onBorrowed(chunk: Uint8Array): void {
    if (this.#switched) this.#observer?.onBody(new Uint8Array(chunk))
    else this.#decoder.pushBorrowed(chunk)
  }

  onEnd(): void {
    this.#keepAlive = false
    if (this.#switched) {
      this.#observer?.onEnd()
      return
    }
    this.#decoder.end()
    const observer = this.#take()
    if (!observer) {
      this.stream.end()
      return
    }
    this.stream.reset(new CodedError('UPSTREAM_DISCONNECTED', 'the upstream ended the connection within an exchange'))
    observer.onReset('connection termination', '')
  }

  onDrain(): void {
    this.#observer?.onDrain()
  }

  onClose(reason: CodedError | undefined): void {
    this.#closed = true
    this.#keepAlive = false
    this.#decoder.end()
    const observer = this.#take()
    if (observer) observer.onReset('connection termination', reason?.message ?? '')
    this.#owner.onClosed(this)
  }

  onHead(head: ResponseHead): void {
    if (!head.keepAlive) this.#keepAlive = false
    this.#observer?.onHead(head)
  }

  onInterimHead(): void {
    // 100 was answered by us already; of hints Envoy passes none on.
  }

  onBody(piece: Uint8Array): void {
    this.#observer?.onBody(piece)
  }

  onTrailers(trailers: HeaderMap): void {
    this.#observer?.onTrailers(trailers)
  }

  onMessageEnd(): void {
    // A switch of protocols ends no exchange: it has just begun.
    if (this.#switched) return
    this.#responseDone = true
    const observer = this.#observer
    if (this.#requestDone) {
      this.#exchangeOver()
      observer?.onEnd()
      return
    }
    // An answer before the end of the request: what is left of it has no reader.
    this.#keepAlive = false
    this.#observer = undefined
    this.stream.reset(new CodedError('REQUEST_CANCELLED', 'the response came before the end of the request'))
    observer?.onEnd()
  }

  onError(error: HttpCodecError): void {
    this.#keepAlive = false
    const observer = this.#take()
    this.stream.reset(error)
    if (isEarlyEnd(error)) observer?.onReset('connection termination', '')
    else observer?.onReset('protocol error', error.message)
  }

  #take(): ResponseObserver | undefined {
    const observer = this.#observer
    this.#observer = undefined
    return observer
  }

  #exchangeOver(): void {
    this.#observer = undefined
    // The last piece of a response may have filled the client's buffer; the next response has another client.
    this.resume()
    if (this.isUsable) this.#owner.onIdle(this)
    else if (!this.#closed) this.stream.end()
  }
}

/** The upstream went away, which is no breach of the protocol. */
function isEarlyEnd({ code }: HttpCodecError): boolean {
  return code === 'MESSAGE_INCOMPLETE' || code === 'RESPONSE_MISSING'
}
