import type { CancelTimer, CodedError } from '@ambient-lab/std'
import type { HeaderMap } from '../http1/index.ts'
import {
  HTTP2_ERROR,
  type Http2RequestHandler,
  type Http2RequestHead,
  Http2ServerSession,
  type Http2Stream,
  type Http2StreamSink,
  STALLED_LOOKS_MAX,
  type StreamFailure,
} from '../http2/index.ts'
import type { ByteSink } from '../stream/byte-stream.ts'
import { DateHeader } from './date-header.ts'
import type { HttpConnectionInit } from './http-connection-manager.ts'
import type { DownstreamExchange, HttpRequest, HttpResponse, HttpStream } from './http-stream.ts'
import {
  DOWNSTREAM_IDLE_TIMEOUT_MS,
  HTTP2_DRAIN_NOTICE_MS,
  HTTP2_STREAMS_MAX,
  HTTP2_WINDOW_BYTES,
  STREAM_IDLE_TIMEOUT_MS,
} from './limits.ts'
import type { HttpFlag } from './local-replies.ts'
import { takeIn } from './request-intake.ts'
import { RequestRecord, serverNameAt } from './request-record.ts'

const dates = new DateHeader()

/** How often answers that nobody reads are looked for: they are cut a quarter late at most. */
const LOOK_MS = STREAM_IDLE_TIMEOUT_MS / STALLED_LOOKS_MAX

/** One HTTP/2 connection of a client (h2c, prior knowledge): a session of ../http2/, our streams. */
export class Http2Connection implements ByteSink, Http2RequestHandler {
  readonly #init: HttpConnectionInit
  readonly #session: Http2ServerSession
  #cancelLook: CancelTimer
  /** Since when there has been no request, as far as the looks can tell. */
  #idleSinceMs: number
  /** The last stream at the last look. */
  #lastStream = 0

  constructor(init: HttpConnectionInit) {
    const { stream, clock } = init
    this.#init = init
    this.#session = new Http2ServerSession(
      { stream, clock },
      { handler: this, streamsMax: HTTP2_STREAMS_MAX, streamWindowBytes: HTTP2_WINDOW_BYTES },
    )
    this.#idleSinceMs = clock.monotonic()
    this.#cancelLook = clock.schedule(LOOK_MS, this.#look, { background: true })
  }

  /** No new streams, in the two steps of RFC 9113 §6.8; closes when the last one ends. */
  drain(idleGraceMs: number): void {
    this.#session.drain(Math.min(idleGraceMs, HTTP2_DRAIN_NOTICE_MS))
  }

  onData(chunk: Uint8Array): void {
    this.#session.onData(chunk)
  }

  onBorrowed(chunk: Uint8Array): void {
    this.#session.onBorrowed(chunk)
  }

  onEnd(): void {
    this.#session.onEnd()
  }

  onDrain(): void {
    this.#session.onDrain()
  }

  onClose(reason: CodedError | undefined): void {
    this.#session.onClose(reason)
  }

  onRequest(stream: Http2Stream, head: Http2RequestHead, endStream: boolean): void {
    new Http2Exchange(this.#init, this.#session, stream).begin(head, endStream)
  }

  /** A request that never got a head of its own. */
  onRefused(reason: 'malformed' | 'too large'): void {
    const { clock, peer } = this.#init
    const record = new RequestRecord({ peer, startedAtMs: clock.now(), startedMs: clock.monotonic() })
    record.protocol = 'HTTP/2'
    record.flag('DPE')
    record.details = reason === 'malformed' ? FAILURES.malformed[1] : 'http2.too_many_headers'
    this.#init.runtime().recorder.finish(record)
  }

  onClosed(): void {
    this.#cancelLook()
    this.#init.onClosed()
  }

  /** One timer for all waits of a connection, so that no request pays for one. */
  readonly #look = (): void => {
    const { clock } = this.#init
    const session = this.#session
    session.resetStalled()
    const nowMs = clock.monotonic()
    const wasUsed = session.streamCount > 0 || session.lastStream !== this.#lastStream
    this.#lastStream = session.lastStream
    if (wasUsed) this.#idleSinceMs = nowMs
    else if (nowMs - this.#idleSinceMs >= DOWNSTREAM_IDLE_TIMEOUT_MS) session.drain(HTTP2_DRAIN_NOTICE_MS)
    this.#cancelLook = clock.schedule(LOOK_MS, this.#look, { background: true })
  }
}

/** One stream of an HTTP/2 connection: a request, and the way of its response. */
class Http2Exchange implements DownstreamExchange, Http2StreamSink {
  readonly #init: HttpConnectionInit
  readonly #session: Http2ServerSession
  readonly #stream: Http2Stream
  #current: HttpStream | undefined

  constructor(init: HttpConnectionInit, session: Http2ServerSession, stream: Http2Stream) {
    this.#init = init
    this.#session = session
    this.#stream = stream
    stream.sink = this
  }

  begin(head: Http2RequestHead, endStream: boolean): void {
    const { clock, peer } = this.#init
    const request: HttpRequest = {
      method: head.method,
      scheme: head.scheme === 'https' ? 'https' : peer.scheme,
      authority: head.authority,
      path: head.path,
      headers: head.headers,
      framing: head.framing,
      contentLength: head.contentLength,
      upgrade: undefined,
      expectContinue: head.expectContinue,
    }
    const { stream, refusal } = takeIn({
      runtime: this.#init.runtime(),
      clock,
      peer,
      request,
      protocol: 'HTTP/2',
      exchange: this,
      startedMs: clock.monotonic(),
    })
    this.#current = stream
    if (refusal) stream.localReply(refusal)
    else stream.begin(endStream)
  }

  // Http2StreamSink

  onData(piece: Uint8Array): void {
    this.#current?.decodeData(piece)
  }

  onEnd(trailers: HeaderMap | undefined): void {
    this.#current?.decodeEnd(trailers)
  }

  onDrain(): void {
    this.#current?.responseSource?.resume()
  }

  /** The client went away, or said what cannot be. */
  onFailure(failure: StreamFailure): void {
    const stream = this.#current
    if (!stream) return
    const { record } = stream
    if (!stream.responseComplete) {
      const [flag, details] = FAILURES[failure]
      record.flag(flag)
      if (record.status === 0) record.details = details
    }
    this.#over(stream)
  }

  // DownstreamExchange

  writeContinue(): void {
    this.#session.interim(this.#stream, 100)
  }

  writeHead(response: HttpResponse, endStream: boolean): boolean {
    const { headers } = response
    headers.set('server', serverNameAt(this.#init.peer))
    if (!headers.has('date')) headers.append('date', dates.text(this.#init.clock.now()))
    this.#session.respond(this.#stream, response, endStream || this.#isBodiless(response.status))
    if (endStream) this.#responseEnded()
    return true
  }

  writeBody(piece: Uint8Array): boolean {
    return this.#stream.write(piece)
  }

  writeEnd(trailers: HeaderMap | undefined): void {
    this.#stream.end(trailers)
    this.#responseEnded()
  }

  switchProtocols(): void {
    // Never asked for: a request of HTTP/2 has no upgrade.
    this.reset()
  }

  reset(): void {
    const stream = this.#current
    if (stream) this.#over(stream)
    this.#stream.reset(HTTP2_ERROR.INTERNAL_ERROR)
  }

  pauseRequest(): void {
    this.#stream.pause()
  }

  resumeRequest(): void {
    this.#stream.resume()
  }

  /** What is written as its body all the same is dropped. */
  #isBodiless(status: number): boolean {
    return status === 204 || status === 205 || status === 304 || this.#current?.request.method === 'HEAD'
  }

  /** What is left of the request has no reader. */
  #responseEnded(): void {
    const stream = this.#current
    if (stream) this.#over(stream)
    this.#stream.resume()
  }

  #over(stream: HttpStream): void {
    this.#current = undefined
    stream.destroy()
    stream.runtime.recorder.finish(stream.record)
  }
}

/** How a stream that failed is told of in the log. */
const FAILURES = {
  reset: ['DC', 'downstream_remote_disconnect'],
  refused: ['DC', 'downstream_remote_disconnect'],
  gone: ['DC', 'downstream_remote_disconnect'],
  malformed: ['DPE', 'http2.violation.of.messaging.rule'],
  stalled: ['SI', 'stream_idle_timeout'],
} as const satisfies Readonly<Record<StreamFailure, readonly [flag: HttpFlag, details: string]>>
