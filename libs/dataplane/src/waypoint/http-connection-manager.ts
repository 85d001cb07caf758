import { STATUS_CODES } from 'node:http'
import { type CancelTimer, type Clock, CodedError } from '@ambient-lab/std'
import {
  type HeaderMap,
  type HttpCodecError,
  RequestDecoder,
  type RequestHead,
  type RequestSink,
  ResponseEncoder,
} from '../http1/index.ts'
import type { ByteSink, ByteStream } from '../stream/byte-stream.ts'
import { DateHeader } from './date-header.ts'
import type { HttpRuntime } from './http-runtime.ts'
import type { DownstreamExchange, HttpRequest, HttpResponse, HttpStream } from './http-stream.ts'
import {
  DOWNSTREAM_IDLE_TIMEOUT_MS,
  DROPPED_BODY_BYTES_MAX,
  LINGER_MS,
  REQUEST_HEADERS_TIMEOUT_MS,
  STREAM_IDLE_TIMEOUT_MS,
} from './limits.ts'
import { LOCAL_REPLIES, type LocalReply } from './local-replies.ts'
import { takeIn } from './request-intake.ts'
import { type DownstreamPeer, RequestRecord, serverNameAt } from './request-record.ts'

/** How often a request in flight is looked at: its timeout is a quarter late at most. */
const STREAM_LOOK_MS = STREAM_IDLE_TIMEOUT_MS / 4

/** Pipelined bytes that are read ahead; beyond it the client is held back. */
const HELD_BYTES_MAX = 64 * 1024

export interface HttpConnectionInit {
  readonly stream: ByteStream
  readonly peer: DownstreamPeer
  /** The configuration of this moment: asked once for each request. */
  readonly runtime: () => HttpRuntime
  readonly clock: Clock
  /** The stream was started by somebody who hands its events on. @default false */
  readonly isStarted?: boolean
  readonly onClosed: () => void
}

/** One HTTP/1.1 connection of a client: bytes in, one HttpStream after the other, bytes out. */
export class HttpConnection implements ByteSink, RequestSink, DownstreamExchange {
  readonly #init: HttpConnectionInit
  readonly #stream: ByteStream
  readonly #decoder: RequestDecoder
  readonly #encoder: ResponseEncoder
  #current: HttpStream | undefined
  #head: RequestHead | undefined
  #trailers: HeaderMap | undefined
  #requestDone = true
  /** Pipelined input waits for the response. */
  #waits = false
  /** Whoever takes the request has no room. */
  #heldByStream = false
  #keepAlive = true
  #switched = false
  #draining = false
  #closing = false
  #closed = false
  #activeMs: number
  /** Bytes of the request in flight at the last look. */
  #movedBytes = 0
  /** When the waits of the connection are looked at next, on the monotonic clock. */
  #lookAtMs = Number.POSITIVE_INFINITY
  #cancelLook: CancelTimer = () => {}
  #cancelLinger: CancelTimer | undefined
  #cancelDrain: CancelTimer | undefined

  constructor(init: HttpConnectionInit) {
    this.#init = init
    this.#stream = init.stream
    this.#decoder = new RequestDecoder(this)
    this.#encoder = new ResponseEncoder(init.stream)
    this.#activeMs = init.clock.monotonic()
    this.#lookBy(this.#activeMs + DOWNSTREAM_IDLE_TIMEOUT_MS)
    if (!init.isStarted) init.stream.start(this)
  }

  /** No request is in flight. */
  get isIdle(): boolean {
    return this.#current === undefined
  }

  /**
   * The next response closes the connection, and says so. Where no request comes the client is left alone for a while:
   * a request that crosses our end on its way would be lost.
   */
  drain(idleGraceMs: number): void {
    if (this.#draining || this.#closed) return
    this.#draining = true
    this.#cancelDrain = this.#init.clock.schedule(idleGraceMs, () => {
      if (this.isIdle && this.#decoder.idle) this.#close()
    })
  }

  cut(reason: CodedError): void {
    this.#stream.reset(reason)
  }

  // ByteSink

  onData(chunk: Uint8Array): void {
    if (this.#switched) return void this.#current?.decodeData(chunk)
    this.#decode(chunk, false)
  }

  onBorrowed(chunk: Uint8Array): void {
    if (this.#switched) return void this.#current?.decodeData(new Uint8Array(chunk))
    this.#decode(chunk, true)
  }

  #decode(chunk: Uint8Array, isBorrowed: boolean): void {
    if (this.#closing) return
    const wasIdle = this.#decoder.idle
    if (isBorrowed) this.#decoder.pushBorrowed(chunk)
    else this.#decoder.push(chunk)
    if (wasIdle) this.#awaitHead()
    if (this.#decoder.paused && this.#decoder.heldBytes > HELD_BYTES_MAX) this.#stream.pause()
  }

  onEnd(): void {
    if (this.#switched) return void this.#current?.decodeEnd(undefined)
    this.#keepAlive = false
    this.#decoder.end()
    // Whoever waits for an answer gets it: a client may half-close when it has said all (RFC 9112 §9.6).
    if (this.isIdle) this.#close()
  }

  onDrain(): void {
    this.#current?.responseSource?.resume()
  }

  onClose(reason: CodedError | undefined): void {
    this.#closed = true
    this.#cancelLook()
    this.#cancelLinger?.()
    this.#cancelDrain?.()
    const stream = this.#current
    if (stream) {
      const { record } = stream
      if (!this.#switched) {
        record.flag('DC')
        if (record.status === 0) record.details = 'downstream_remote_disconnect'
      }
      if (reason) record.terminationDetails = reason.code.toLowerCase()
      this.#over(stream)
    }
    this.#init.onClosed()
  }

  // RequestSink

  onHead(head: RequestHead): void {
    const { clock, peer } = this.#init
    this.#activeMs = clock.monotonic()
    this.#movedBytes = 0
    this.#lookBy(this.#activeMs + STREAM_LOOK_MS)
    const request: HttpRequest = {
      method: head.method,
      scheme: head.scheme ?? peer.scheme,
      authority: head.authority,
      path: head.path,
      headers: head.headers,
      framing: head.framing,
      contentLength: head.contentLength,
      upgrade: head.upgrade,
      expectContinue: head.expectContinue,
    }
    this.#head = head
    this.#trailers = undefined
    this.#requestDone = head.framing === 'none'
    if (!head.keepAlive) this.#keepAlive = false
    const protocol = head.version === '1.1' ? 'HTTP/1.1' : 'HTTP/1.0'
    const { stream, refusal } = takeIn({
      runtime: this.#init.runtime(),
      clock,
      peer,
      request,
      protocol,
      exchange: this,
      startedMs: this.#activeMs,
    })
    this.#current = stream
    if (refusal) stream.localReply(refusal)
    else stream.begin(head.framing === 'none' && head.upgrade === undefined)
  }

  onBody(piece: Uint8Array): void {
    this.#current?.decodeData(piece)
  }

  onTrailers(trailers: HeaderMap): void {
    this.#trailers = trailers
  }

  onMessageEnd(): void {
    const stream = this.#current
    this.#requestDone = true
    // It was answered before it was over; one that asked for an upgrade has paused the decoder.
    if (!stream) return this.#resumeReading()
    if (this.#head!.upgrade === undefined) {
      this.#waits = true
      this.#decoder.pause()
      stream.decodeEnd(this.#trailers)
    }
  }

  onError(error: HttpCodecError): void {
    const stream = this.#current
    this.#keepAlive = false
    // The client is gone, or gave up: nobody reads an answer.
    if (error.code === 'MESSAGE_INCOMPLETE') return this.#stream.reset(error)
    if (stream) {
      stream.record.flag('DPE')
      if (stream.responseStarted) return this.#stream.reset(error)
      return stream.localReply(replyTo(error))
    }
    this.#refuse(replyTo(error))
  }

  // DownstreamExchange

  writeContinue(): void {
    if (!this.#closed) this.#encoder.writeInterim(100)
  }

  writeHead(response: HttpResponse, endStream: boolean): boolean {
    if (this.#closed) return true
    const { headers, status, framing, contentLength, upgrade } = response
    const { method, version } = this.#head!
    headers.set('server', serverNameAt(this.#init.peer))
    if (!headers.has('date')) headers.append('date', dates.text(this.#init.clock.now()))
    // A refusal reads nothing more of its request: the client has to know (RFC 9112 §9.6).
    const isRefusal = !this.#requestDone && this.#current?.responseSource === undefined
    if (this.#draining || isRefusal) this.#keepAlive = false
    const keepAlive = this.#keepAlive
    const isRoom = this.#encoder.writeHead({
      status,
      headers,
      framing,
      contentLength,
      upgrade,
      request: { method, version },
      keepAlive,
    })
    if (endStream) {
      this.#encoder.end()
      this.#responseEnded()
    }
    return isRoom
  }

  writeBody(piece: Uint8Array): boolean {
    if (this.#closed) return true
    return this.#switched ? this.#stream.write(piece) : this.#encoder.writeBody(piece)
  }

  writeEnd(trailers: HeaderMap | undefined): void {
    if (this.#closed) return
    if (this.#switched) return this.#stream.end()
    this.#encoder.end(trailers)
    this.#responseEnded()
  }

  switchProtocols(): void {
    this.#switched = true
    this.#encoder.end()
    const stream = this.#current
    for (const piece of this.#decoder.takeRest()) stream?.decodeData(piece)
    this.#stream.resume()
  }

  reset(): void {
    const reason = new CodedError('UPSTREAM_DISCONNECTED', 'the response could not be finished', { origin: 'upstream' })
    const stream = this.#current
    if (stream) this.#over(stream)
    this.#decoder.takeRest()
    this.#stream.reset(reason)
  }

  pauseRequest(): void {
    this.#heldByStream = true
    if (!this.#switched) this.#decoder.pause()
    this.#stream.pause()
  }

  resumeRequest(): void {
    if (!this.#heldByStream) return
    this.#heldByStream = false
    this.#resumeReading()
  }

  #responseEnded(): void {
    const stream = this.#current!
    this.#over(stream)
    this.#activeMs = stream.record.startedMs + stream.record.durationMs
    if (!this.#keepAlive || this.#encoder.closes) return this.#close()
    if (!this.#requestDone && !isRestShort(stream)) return this.#close()
    this.#waits = false
    this.#heldByStream = false
    // An upgrade that was declined has paused the decoder by itself.
    this.#resumeReading()
    this.#awaitHead()
  }

  #over(stream: HttpStream): void {
    this.#current = undefined
    stream.destroy()
    stream.runtime.recorder.finish(stream.record)
  }

  #resumeReading(): void {
    if (this.#closed || this.#closing || this.#heldByStream) return
    if (this.#switched) return this.#stream.resume()
    if (this.#waits) return
    this.#stream.resume()
    if (this.#decoder.paused) this.#decoder.resume()
  }

  /** A head that came whole is no head any more: the clock is asked where one is begun and not finished. */
  #awaitHead(): void {
    if (this.#current || this.#decoder.idle || this.#closing || this.#closed) return
    this.#activeMs = this.#init.clock.monotonic()
    this.#lookBy(this.#activeMs + REQUEST_HEADERS_TIMEOUT_MS)
  }

  /** A request that never got a head of its own. */
  #refuse(reply: LocalReply): void {
    const { clock, peer } = this.#init
    const runtime = this.#init.runtime()
    const record = new RequestRecord({ peer, startedAtMs: clock.now(), startedMs: clock.monotonic() })
    if (reply.flag) record.flag(reply.flag)
    record.status = reply.status
    record.details = reply.details
    this.#writeBare(reply)
    runtime.recorder.finish(record)
    this.#close()
  }

  #writeBare({ status, body }: LocalReply): void {
    if (this.#closed) return
    const type = body === '' ? '' : 'content-type: text/plain\r\n'
    const date = dates.text(this.#init.clock.now())
    const head =
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\ncontent-length: ${body.length}\r\n${type}` +
      `date: ${date}\r\nserver: ${serverNameAt(this.#init.peer)}\r\nconnection: close\r\n\r\n${body}`
    this.#stream.write(Buffer.from(head, 'latin1'))
  }

  /** Half-closes, and reads on for a while: a reset would take the answer from a client that still sends. */
  #close(): void {
    if (this.#closing || this.#closed) return
    this.#closing = true
    // What is behind it in the same chunk is no request any more: answering it would write after the end.
    this.#decoder.takeRest()
    this.#stream.end()
    this.#stream.resume()
    this.#cancelLinger = this.#init.clock.schedule(
      LINGER_MS,
      () => this.#stream.reset(new CodedError('CONNECTION_CLOSED', 'the connection was over')),
      { background: true },
    )
  }

  /**
   * One timer for all waits of a connection, so that no request pays for one: what begins while an earlier look is due
   * leaves it as it is.
   * @param atMs when to look at the latest, on the monotonic clock
   */
  #lookBy(atMs: number): void {
    if (atMs >= this.#lookAtMs) return
    const { clock } = this.#init
    this.#cancelLook()
    this.#lookAtMs = atMs
    this.#cancelLook = clock.schedule(atMs - clock.monotonic(), () => this.#look(), { background: true })
  }

  #look(): void {
    this.#lookAtMs = Number.POSITIVE_INFINITY
    if (this.#closed || this.#closing || this.#switched) return
    const nowMs = this.#init.clock.monotonic()
    const stream = this.#current
    if (stream) return this.#lookAtStream(stream, nowMs)
    const isHead = !this.#decoder.idle
    const dueMs = this.#activeMs + (isHead ? REQUEST_HEADERS_TIMEOUT_MS : DOWNSTREAM_IDLE_TIMEOUT_MS)
    if (nowMs < dueMs) return this.#lookBy(dueMs)
    // The rest of a request that was answered has no answer of its own.
    if (isHead && this.#requestDone) this.#refuse(LOCAL_REPLIES.HEADERS_TIMEOUT)
    else this.#close()
  }

  /** Nothing is noted when bytes move, so that they cost nothing: what moved since the last look counts as moving now. */
  #lookAtStream(stream: HttpStream, nowMs: number): void {
    const moved = stream.record.bytesReceived + stream.record.bytesSent
    if (moved !== this.#movedBytes) {
      this.#movedBytes = moved
      this.#activeMs = nowMs
    }
    const dueMs = this.#activeMs + STREAM_IDLE_TIMEOUT_MS
    // The answer may leave the connection open for the next request, or be one that takes its time to be read.
    this.#lookBy(Math.min(nowMs < dueMs ? dueMs : Number.POSITIVE_INFINITY, nowMs + STREAM_LOOK_MS))
    if (nowMs < dueMs) return
    stream.localReply(this.#requestDone ? LOCAL_REPLIES.RESPONSE_IDLE_TIMEOUT : LOCAL_REPLIES.STREAM_IDLE_TIMEOUT)
  }
}

const dates = new DateHeader()

/** Of a request that was answered before it was over: whether reading the rest costs less than another connection. */
function isRestShort({ request, record }: HttpStream): boolean {
  const { framing, contentLength } = request
  return framing === 'length' && contentLength - record.bytesReceived <= DROPPED_BODY_BYTES_MAX
}

/** Envoy answers with its status text; a head that is too large has words of its own. */
function replyTo(error: HttpCodecError): LocalReply {
  if (error.code === 'HOST_MISSING') return LOCAL_REPLIES.MISSING_HOST
  if (error.code === 'HEAD_TOO_LARGE') return LOCAL_REPLIES.HEADERS_TOO_LARGE
  const { status, details } = error
  return { ...LOCAL_REPLIES.PROTOCOL_ERROR, status, details, body: STATUS_CODES[status] ?? '' }
}
