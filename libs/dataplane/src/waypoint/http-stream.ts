import { type JwtPayload, RequestFacts, type TokenRequest } from '@ambient-lab/policy'
import { assert } from '@ambient-lab/std'
import { type BodyFraming, HeaderMap, HttpCodecError } from '../http1/index.ts'
import { comparePlaces, type FilterPlace, type HeadStatus, type HttpFilter } from './filter.ts'
import { GrpcMessageCounter } from './grpc/message-counter.ts'
import type { HeaderChange } from './header-change.ts'
import type { CompiledRoute, HttpRuntime } from './http-runtime.ts'
import type { KeptRequest } from './kept-request.ts'
import { grpcStatusOf, type HttpFlag, LOCAL_REPLIES, type LocalReply } from './local-replies.ts'
import type { DownstreamPeer, RequestRecord } from './request-record.ts'
import { isGrpc } from './router/route-table.ts'

/** A request as it goes down the chain; filters change it in place. */
export interface HttpRequest {
  method: string
  scheme: 'http' | 'https'
  authority: string
  /** With its query. */
  path: string
  readonly headers: HeaderMap
  readonly framing: BodyFraming
  readonly contentLength: number
  /** The protocol that the client wants to switch to. */
  readonly upgrade: string | undefined
  /** The client waits for a word before it sends its body. */
  readonly expectContinue: boolean
}

/** A response as it climbs the chain. */
export interface HttpResponse {
  status: number
  readonly headers: HeaderMap
  readonly framing: BodyFraming
  readonly contentLength: number
  /** Of a 101. */
  readonly upgrade: string | undefined
}

/** The downstream half of one exchange: what a codec can do for a stream. */
export interface DownstreamExchange {
  writeContinue(): void
  writeHead(response: HttpResponse, endStream: boolean): boolean
  writeBody(piece: Uint8Array): boolean
  writeEnd(trailers: HeaderMap | undefined): void
  /** The head of a 101 was written: from now on bytes are of another protocol. */
  switchProtocols(): void
  /** Cuts an exchange whose response has begun and cannot be finished. */
  reset(): void
  pauseRequest(): void
  resumeRequest(): void
}

/** Who brings the response: held back while the client does not read. */
export interface ResponseSource {
  pause(): void
  resume(): void
}

/** What a reply of the proxy itself may say. */
export interface LocalReplyOptions {
  readonly headers?: readonly (readonly [name: string, value: string])[]
  readonly body?: string | Uint8Array
  readonly status?: number
  readonly details?: string
  readonly contentType?: string
  /** Instead of what the HTTP status maps to. */
  readonly grpcStatus?: number
}

/** One request in flight: its filters, how far it came, and what is known about it. */
export class HttpStream {
  readonly runtime: HttpRuntime
  readonly peer: DownstreamPeer
  readonly request: HttpRequest
  readonly record: RequestRecord
  /** Undefined while there is no response that could be held back. */
  responseSource: ResponseSource | undefined
  /** Claims of the token that was verified. */
  jwt: JwtPayload | undefined
  /** What became of header lines when the token was looked at; undefined: nothing. */
  tokenChange: HeaderChange | undefined
  /** The request is remembered, and to be told how it ended. */
  kept: KeptRequest | undefined
  requestComplete = false
  responseStarted = false
  responseComplete = false
  readonly #exchange: DownstreamExchange
  #route: CompiledRoute | undefined
  #filters: HttpFilter[] = []
  /** The filter that the head goes to next, once decoding continues. */
  #decodeAt = 0
  #decodeStopped = false
  /** Sees the body before the chain does, and what it has seen. */
  #collector: HttpFilter | undefined
  #heldRequest: Uint8Array[] = []
  #pendingEnd: { readonly trailers: HeaderMap | undefined } | undefined
  #encodeAt = -1
  #encodeStopped = false
  #stoppedResponse: { readonly response: HttpResponse; readonly endStream: boolean } | undefined
  #heldResponse: Uint8Array[] = []
  #heldResponseEnd: { readonly trailers: HeaderMap | undefined } | undefined
  #endStream = false
  #facts: RequestFacts | undefined
  #view: TokenRequest | undefined
  #saidContinue = false
  #destroyed = false

  constructor(init: {
    readonly runtime: HttpRuntime
    readonly peer: DownstreamPeer
    readonly request: HttpRequest
    readonly record: RequestRecord
    readonly route: CompiledRoute | undefined
    readonly exchange: DownstreamExchange
  }) {
    this.runtime = init.runtime
    this.peer = init.peer
    this.request = init.request
    this.record = init.record
    this.#route = init.route
    this.#exchange = init.exchange
  }

  get route(): CompiledRoute | undefined {
    return this.#route
  }

  /** What policies may ask about the request; made when the first one asks. */
  get facts(): RequestFacts {
    this.#facts ??= new RequestFacts(this.peer.facts, this.view)
    return this.#facts
  }

  get view(): TokenRequest {
    this.#view ??= new StreamView(this)
    return this.#view
  }

  get destroyed(): boolean {
    return this.#destroyed
  }

  /** Whether the head goes on: replied or not, the first filter has the word. */
  begin(endStream: boolean): void {
    this.#addFilters(undefined)
    this.#endStream = endStream
    this.#decodeHeaders()
  }

  /** A filter wrote into the head: what policies were told of it is forgotten. */
  headChanged(): void {
    this.#facts = undefined
  }

  /**
   * The filter at `place` changed what routes are chosen by: the route is found again, and who comes behind that filter
   * is of the route that it is now. Envoy's `clear_route_cache`.
   */
  rematchRoute(place: FilterPlace): void {
    const route = this.runtime.routes.find(this.request)
    if (route === this.#route) return
    this.#route = route
    this.record.routeName = route?.source.name ?? ''
    for (const filter of this.#filters.splice(this.#decodeAt)) filter.onDestroy?.()
    this.#addFilters(place)
  }

  /** A piece of the request's body. */
  decodeData(piece: Uint8Array): void {
    this.record.bytesReceived += piece.length
    this.record.requestMessages?.add(piece)
    if (this.responseComplete) return
    if (!this.#collector) return this.#decodeData(piece)
    this.#heldRequest.push(piece)
    if (this.#collector.decodeData?.(this, piece) === 'stop') this.pauseRequest()
  }

  /** The request is complete. */
  decodeEnd(trailers: HeaderMap | undefined): void {
    this.requestComplete = true
    if (this.responseComplete || this.#endStream) return
    if (this.#decodeStopped) {
      this.#pendingEnd = { trailers }
      this.#collector?.decodeEnd?.(this, trailers)
      return
    }
    for (const filter of this.#filters) filter.decodeEnd?.(this, trailers)
  }

  /** A filter that stopped the request lets it go on. */
  continueDecoding(): void {
    if (!this.#decodeStopped || this.#destroyed) return
    this.#decodeStopped = false
    this.#collector = undefined
    this.#decodeHeaders()
    if (this.#decodeStopped) return
    const held = this.#heldRequest
    this.#heldRequest = []
    for (const piece of held) this.#decodeData(piece)
    this.resumeRequest()
    const pending = this.#pendingEnd
    this.#pendingEnd = undefined
    if (pending) this.decodeEnd(pending.trailers)
  }

  /** The head of the response. */
  encodeHeaders(response: HttpResponse, endStream: boolean): void {
    assert(!this.responseStarted, 'one response for each request')
    this.#encodeAt = this.#filters.length - 1
    this.#encodeHeaders(response, endStream)
  }

  encodeData(piece: Uint8Array): void {
    if (this.#destroyed) return
    if (this.#encodeStopped) {
      this.#heldResponse.push(piece)
      return
    }
    for (let index = this.#filters.length - 1; index >= 0; index -= 1) this.#filters[index]!.encodeData?.(this, piece)
    this.record.bytesSent += piece.length
    this.record.responseMessages?.add(piece)
    if (!this.#exchange.writeBody(piece)) this.responseSource?.pause()
  }

  encodeEnd(trailers: HeaderMap | undefined): void {
    if (this.#destroyed || this.responseComplete) return
    if (this.#encodeStopped) {
      this.#heldResponseEnd = { trailers }
      return
    }
    for (let index = this.#filters.length - 1; index >= 0; index -= 1) this.#filters[index]!.encodeEnd?.(this, trailers)
    if (trailers) this.record.responseTrailers = trailers
    this.responseComplete = true
    this.#exchange.writeEnd(trailers)
  }

  continueEncoding(): void {
    const stopped = this.#stoppedResponse
    if (!stopped || this.#destroyed) return
    this.#encodeStopped = false
    this.#stoppedResponse = undefined
    this.#encodeHeaders(stopped.response, stopped.endStream)
    if (this.#encodeStopped) return
    const held = this.#heldResponse
    this.#heldResponse = []
    for (const piece of held) this.encodeData(piece)
    const end = this.#heldResponseEnd
    this.#heldResponseEnd = undefined
    if (end) this.encodeEnd(end.trailers)
    this.responseSource?.resume()
  }

  /**
   * Answers by itself. To a gRPC client that is a 200 whose `grpc-status` says what happened, as Envoy has it.
   * A response that has begun cannot be replaced: then the exchange is cut.
   */
  localReply(reply: LocalReply, options: LocalReplyOptions = {}): void {
    if (this.responseComplete || this.#destroyed) return
    const { record } = this
    record.details = options.details ?? reply.details
    if (reply.flag) record.flag(reply.flag)
    if (this.responseStarted) return this.reset()
    const status = options.status ?? reply.status
    if (status >= 400) this.runtime.onRefused?.(this, reply)
    const text = options.body ?? reply.body
    const body = typeof text === 'string' ? Buffer.from(text, 'utf8') : Buffer.from(text)
    const headers = new HeaderMap()
    if (record.isGrpc) {
      headers.append('content-type', 'application/grpc')
      headers.append('grpc-status', String(options.grpcStatus ?? grpcStatusOf(status)))
      if (body.length > 0)
        headers.append('grpc-message', encodeURIComponent(body.toString('utf8')).replaceAll('%20', ' '))
    } else if (body.length > 0) {
      headers.append('content-type', options.contentType ?? 'text/plain')
    }
    for (const [name, value] of options.headers ?? []) headers.append(name, value)
    const hasBody = !record.isGrpc && body.length > 0
    const response: HttpResponse = {
      status: record.isGrpc ? 200 : status,
      headers,
      framing: hasBody ? 'length' : 'none',
      contentLength: hasBody ? body.length : 0,
      upgrade: undefined,
    }
    this.responseSource = undefined
    this.#encodeStopped = false
    this.encodeHeaders(response, !hasBody)
    if (!hasBody) return
    this.encodeData(body)
    this.encodeEnd(undefined)
  }

  flag(flag: HttpFlag): void {
    this.record.flag(flag)
  }

  /** Tells a client that waits for it to send its body. */
  writeContinue(): void {
    if (!this.request.expectContinue || this.responseStarted || this.#saidContinue) return
    this.#saidContinue = true
    this.#exchange.writeContinue()
  }

  /** Cuts a response that has begun and cannot be finished. */
  reset(): void {
    this.responseComplete = true
    this.#exchange.reset()
  }

  pauseRequest(): void {
    this.#exchange.pauseRequest()
  }

  /** Not while there is something older than what the exchange has. */
  resumeRequest(): void {
    if (!this.#decodeStopped && this.#heldRequest.length === 0) this.#exchange.resumeRequest()
  }

  /** From now on both directions carry bytes of another protocol. */
  switchProtocols(): void {
    this.#exchange.switchProtocols()
  }

  /** The exchange is over: filters let go of what they hold. Once. */
  destroy(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    this.kept?.ended(this.record)
    for (const filter of this.#filters) filter.onDestroy?.()
  }

  /** @param behind all of the chain, or what comes behind a place in it */
  #addFilters(behind: FilterPlace | undefined): void {
    for (const { place, create } of this.#route?.filters ?? this.runtime.routeless) {
      if (behind && comparePlaces(place, behind) <= 0) continue
      const filter = create(this)
      if (filter) this.#filters.push(filter)
    }
  }

  #decodeData(piece: Uint8Array): void {
    if (this.responseComplete) return
    for (const filter of this.#filters) {
      if (filter.decodeData?.(this, piece) !== 'stop') continue
      this.#decodeStopped = true
      this.pauseRequest()
      return
    }
  }

  /** A filter may add what cannot be sent, such as a text from outside of Latin-1: that is answered, not thrown. */
  #decodeHeaders(): void {
    try {
      this.#decodeHeadersOn()
    } catch (error) {
      if (!(error instanceof HttpCodecError)) throw error
      this.localReply(LOCAL_REPLIES.INVALID_HEADERS)
    }
  }

  #decodeHeadersOn(): void {
    while (this.#decodeAt < this.#filters.length) {
      const filter = this.#filters[this.#decodeAt]!
      this.#decodeAt += 1
      const status: HeadStatus = filter.decodeHeaders?.(this, this.#endStream) ?? 'continue'
      if (this.responseComplete || this.#destroyed) return
      if (status === 'stop') {
        this.#decodeStopped = true
        this.pauseRequest()
        return
      }
      if (status === 'buffer') {
        this.#decodeStopped = true
        this.#collector = filter
        this.writeContinue()
        return
      }
    }
  }

  #encodeHeaders(response: HttpResponse, endStream: boolean): void {
    while (this.#encodeAt >= 0) {
      const filter = this.#filters[this.#encodeAt]!
      this.#encodeAt -= 1
      if (filter.encodeHeaders?.(this, response, endStream) !== 'stop') continue
      this.#encodeStopped = true
      this.#stoppedResponse = { response, endStream }
      this.responseSource?.pause()
      return
    }
    this.responseStarted = true
    const { record } = this
    record.status = response.status
    record.responseHeaders = response.headers
    if (record.isGrpc && response.status === 200 && isGrpc(response.headers.get('content-type'))) {
      record.responseMessages = new GrpcMessageCounter()
    }
    if (endStream) this.responseComplete = true
    if (!this.#exchange.writeHead(response, endStream)) this.responseSource?.pause()
  }
}

/** A request as policies see it at the moment when they ask. */
class StreamView implements TokenRequest {
  readonly #stream: HttpStream

  constructor(stream: HttpStream) {
    this.#stream = stream
  }

  get method(): string {
    return this.#stream.request.method
  }

  get authority(): string {
    return this.#stream.request.authority
  }

  get path(): string {
    return this.#stream.request.path
  }

  get scheme(): string {
    return this.#stream.request.scheme
  }

  get jwt(): JwtPayload | undefined {
    return this.#stream.jwt
  }

  header(name: string): string | undefined {
    return this.#stream.request.headers.getJoined(name)
  }
}
