import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { CodedError } from '@ambient-lab/std'
import { type BodyFraming, type HeaderMap, HttpCodecError } from '../http1/index.ts'
import type { ByteSink } from '../stream/byte-stream.ts'
import { StreamDuplex } from '../stream/stream-duplex.ts'
import { DateHeader } from './date-header.ts'
import type { HttpConnectionInit } from './http-connection-manager.ts'
import type { DownstreamExchange, HttpRequest, HttpResponse, HttpStream } from './http-stream.ts'
import { headerMapOf, outgoingHeaders } from './http2-headers.ts'
import { HTTP2_STREAMS_MAX, HTTP2_WINDOW_BYTES } from './limits.ts'
import { takeIn } from './request-intake.ts'
import { serverNameAt } from './request-record.ts'

const dates = new DateHeader()

/** One HTTP/2 connection of a client (h2c, prior knowledge): Node's own framing, our streams. */
export class Http2Connection implements ByteSink {
  readonly #init: HttpConnectionInit
  readonly #session: ServerHttp2Session
  readonly #socket: StreamDuplex
  readonly #exchanges = new Set<Http2Exchange>()

  constructor(init: HttpConnectionInit) {
    this.#init = init
    this.#socket = new StreamDuplex(init.stream, { isStarted: true })
    this.#session = performServerHandshake(this.#socket, {
      settings: { maxConcurrentStreams: HTTP2_STREAMS_MAX, initialWindowSize: HTTP2_WINDOW_BYTES },
    })
    this.#session.on('error', () => {}) // its close tells, and the stream's
    this.#session.on('stream', (stream, headers, _flags, raw) => this.#onStream(stream, headers, raw))
  }

  /**
   * No new streams, which the client is told, with the last that is served; closes when that ends. The notice of RFC 9113
   * §6.8 that comes ahead of it is not to be had: after any GOAWAY nghttp2 ignores new streams as Node drives it.
   */
  drain(_idleGraceMs: number): void {
    if (!this.#session.destroyed) this.#session.close()
  }

  onData(chunk: Uint8Array): void {
    this.#socket.onData(chunk)
  }

  onEnd(): void {
    this.#socket.onEnd()
  }

  onDrain(): void {
    this.#socket.onDrain()
  }

  onClose(reason: CodedError | undefined): void {
    for (const exchange of [...this.#exchanges]) exchange.gone()
    this.#session.destroy()
    this.#socket.onClose(reason)
    this.#init.onClosed()
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]): void {
    const exchange: Http2Exchange = new Http2Exchange(stream, this.#init, () => this.#exchanges.delete(exchange))
    this.#exchanges.add(exchange)
    exchange.begin(headers, raw)
  }
}

/** One stream of an HTTP/2 connection: a request, and the way of its response. */
class Http2Exchange implements DownstreamExchange {
  readonly #stream: ServerHttp2Stream
  readonly #init: HttpConnectionInit
  readonly #onOver: () => void
  #current: HttpStream | undefined
  #requestTrailers: HeaderMap | undefined
  #responseTrailers: HeaderMap | undefined

  constructor(stream: ServerHttp2Stream, init: HttpConnectionInit, onOver: () => void) {
    this.#stream = stream
    this.#init = init
    this.#onOver = onOver
    stream.on('error', () => {}) // 'close' follows
    stream.on('data', (piece: Uint8Array) => this.#current?.decodeData(piece))
    stream.on('trailers', (_headers, _flags, raw: readonly string[]) => {
      this.#requestTrailers = safeHeaders(raw)
    })
    stream.on('end', () => this.#current?.decodeEnd(this.#requestTrailers))
    stream.on('drain', () => this.#current?.responseSource?.resume())
    stream.on('wantTrailers', () =>
      stream.sendTrailers(this.#responseTrailers ? outgoingHeaders(this.#responseTrailers) : {}),
    )
    stream.on('close', () => this.gone())
  }

  begin(headers: IncomingHttpHeaders, raw: readonly string[]): void {
    const { clock, peer } = this.#init
    const fields = safeHeaders(raw)
    if (!fields) return this.#stream.close(constants.NGHTTP2_PROTOCOL_ERROR)
    const endStream = this.#stream.endAfterHeaders
    const length = Number(headers['content-length'])
    const framing: BodyFraming = endStream || length === 0 ? 'none' : Number.isInteger(length) ? 'length' : 'chunked'
    const authority = headers[':authority'] ?? headers.host ?? ''
    if (authority !== '') fields.set('host', authority)
    const request: HttpRequest = {
      method: headers[':method'] ?? '',
      scheme: headers[':scheme'] === 'https' ? 'https' : peer.scheme,
      authority,
      path: headers[':path'] ?? '',
      headers: fields,
      framing,
      contentLength: framing === 'length' ? length : 0,
      upgrade: undefined,
      expectContinue: headers.expect === '100-continue',
    }
    const { stream, refusal } = takeIn({
      runtime: this.#init.runtime(),
      clock,
      peer,
      request,
      protocol: 'HTTP/2',
      exchange: this,
    })
    this.#current = stream
    if (refusal) stream.localReply(refusal)
    else stream.begin(endStream)
  }

  /** The stream is closed: in order, or because the client went away. */
  gone(): void {
    const stream = this.#current
    if (!stream) return
    if (!stream.responseComplete) {
      stream.record.flag('DC')
      if (stream.record.status === 0) stream.record.details = 'downstream_remote_disconnect'
    }
    this.#over(stream)
  }

  writeContinue(): void {
    this.#stream.additionalHeaders({ ':status': 100 })
  }

  writeHead(response: HttpResponse, endStream: boolean): boolean {
    if (this.#stream.destroyed) return true
    const { headers, status } = response
    headers.set('server', serverNameAt(this.#init.peer))
    if (!headers.has('date')) headers.append('date', dates.text(this.#init.clock.now()))
    const outgoing = { ':status': status, ...outgoingHeaders(headers) }
    this.#stream.respond(outgoing, { endStream, waitForTrailers: !endStream })
    if (endStream) this.#responseEnded()
    return true
  }

  writeBody(piece: Uint8Array): boolean {
    return this.#stream.destroyed || this.#stream.write(piece)
  }

  writeEnd(trailers: HeaderMap | undefined): void {
    this.#responseTrailers = trailers
    if (!this.#stream.destroyed) this.#stream.end()
    this.#responseEnded()
  }

  switchProtocols(): void {
    // Never asked for: a request of HTTP/2 has no upgrade.
    this.reset()
  }

  reset(): void {
    const stream = this.#current
    if (stream) this.#over(stream)
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  }

  pauseRequest(): void {
    this.#stream.pause()
  }

  resumeRequest(): void {
    this.#stream.resume()
  }

  /** What is left of the request has no reader. */
  #responseEnded(): void {
    const stream = this.#current
    if (!stream) return
    const isEarly = !stream.requestComplete && !this.#stream.endAfterHeaders
    this.#over(stream)
    if (isEarly) this.#stream.resume()
  }

  #over(stream: HttpStream): void {
    this.#current = undefined
    this.#onOver()
    stream.destroy()
    stream.runtime.recorder.finish(stream.record)
  }
}

/** @returns undefined for fields that no other hop could carry */
function safeHeaders(raw: readonly string[]): HeaderMap | undefined {
  try {
    return headerMapOf(raw)
  } catch (error) {
    if (error instanceof HttpCodecError) return undefined
    throw error
  }
}
