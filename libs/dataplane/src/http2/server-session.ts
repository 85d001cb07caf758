import type { CancelTimer, Clock } from '@ambient-lab/std'
import { consistsOf, TARGET, TOKEN } from '../http1/characters.ts'
import type { BodyFraming } from '../http1/head-facts.ts'
import type { HeaderMap } from '../http1/headers.ts'
import { HEAD_BYTES_MAX } from '../http1/limits.ts'
import { isAuthority } from '../http1/request-target.ts'
import { ConnectionFault, HTTP2_ERROR } from './errors.ts'
import { FRAME, PREFACE, SETTING, STREAM_ID_MAX } from './frame.ts'
import { encodeHeaders } from './hpack-encoder.ts'
import { Http2Session } from './http2-session.ts'
import type { Http2SessionComponents, Http2SessionInit } from './http2-session-init.ts'
import { Http2Stream } from './http2-stream.ts'

/** What the head of a request says. */
export interface Http2RequestHead {
  readonly method: string
  readonly scheme: string
  /** Of `:authority`, else Host; empty when neither is there. `headers` has the same as Host. */
  readonly authority: string
  /** Path and query, `*`, or empty for CONNECT. Not normalised. */
  readonly path: string
  readonly headers: HeaderMap
  readonly framing: BodyFraming
  /** Bytes, when `framing` is `length`. */
  readonly contentLength: number
  readonly expectContinue: boolean
}

/** What the head of a response says. */
export interface Http2OutgoingResponse {
  readonly status: number
  /** Fields of connections are left out, and the length, which is written by what `framing` says. */
  readonly headers: HeaderMap
  readonly framing: BodyFraming
  readonly contentLength: number
}

/** Who serves the requests of a connection. */
export interface Http2RequestHandler {
  /** The stream's sink is to be set before this returns. */
  onRequest(stream: Http2Stream, head: Http2RequestHead, endStream: boolean): void
  /** A stream was reset whose head is no request, or is too large. */
  onRefused?(reason: 'malformed' | 'too large'): void
  /** The connection is gone; its streams were told. */
  onClosed(): void
}

const DRAIN_PING = Buffer.from('draining')

/** The server's side of a connection. */
export class Http2ServerSession extends Http2Session {
  protected readonly isServer = true
  readonly #clock: Clock
  readonly #handler: Http2RequestHandler
  #prefaceAt = 0
  /** The last authority that was judged: clients send the same again and again. */
  #knownAuthority = ''
  /** Answered, with more of the request to come. */
  #answeredEarly: Http2Stream[] = []
  #draining = false
  #cancelDrain: CancelTimer | undefined
  /** The last GOAWAY is out: what is opened behind it is not ours. */
  #refusing = false

  constructor(components: Http2SessionComponents, init: Http2SessionInit & { readonly handler: Http2RequestHandler }) {
    super(components, init)
    this.#clock = components.clock
    this.#handler = init.handler
    this.sendPreface([
      [SETTING.MAX_CONCURRENT_STREAMS, this.streamsMax],
      [SETTING.INITIAL_WINDOW_SIZE, this.streamWindowBytes],
      [SETTING.MAX_HEADER_LIST_SIZE, HEAD_BYTES_MAX],
    ])
  }

  /** The number of the stream that was opened last. */
  get lastStream(): number {
    return this.lastPeerStream
  }

  /** 100 (Continue), or another 1xx that stands before the response. */
  interim(stream: Http2Stream, status: number): void {
    if (stream.over || stream.localEnded) return
    this.encoder.begin()
    this.encoder.field(':status', String(status))
    this.sendHeaders(stream.id, false)
  }

  /** The head of a response; its body is written to the stream. */
  respond(stream: Http2Stream, response: Http2OutgoingResponse, endStream: boolean): void {
    if (stream.over || stream.localEnded) return
    const { encoder } = this
    const { status, headers, framing, contentLength } = response
    encoder.begin()
    encoder.field(':status', statusText(status))
    const length = framing === 'length' ? String(contentLength) : framing === 'none' && headers.get('content-length')
    // Without a body the field says how long it would have been, where it can say anything (RFC 9110 §8.6).
    if (length && status !== 204 && status !== 205) encoder.field('content-length', length)
    encodeHeaders(encoder, headers)
    this.sendHeaders(stream.id, endStream)
    if (endStream) this.localEnd(stream)
  }

  /**
   * Ends the connection in order (RFC 9113 §6.8): first it says that it will, then, when what crossed that on its way
   * has arrived, what was the last stream. It closes behind its last answer.
   * @param noticeMs how long to wait for the client to have seen the notice, if it does not say so
   */
  drain(noticeMs: number): void {
    if (this.#draining || this.over) return
    this.#draining = true
    this.writer.goaway(STREAM_ID_MAX, HTTP2_ERROR.NO_ERROR)
    this.writer.frame(FRAME.PING, 0, 0, DRAIN_PING)
    this.#cancelDrain = this.#clock.schedule(noticeMs, () => this.#drainNow())
  }

  /** Who has sent all may wait for its answers. */
  override onEnd(): void {
    for (const stream of [...this.streams.values()]) if (!stream.remoteEnded) stream.fail('gone')
    this.#refusing = true
    if (this.streams.size === 0) this.close()
  }

  protected override takePreface(bytes: Uint8Array): number {
    let at = 0
    while (this.#prefaceAt < PREFACE.length && at < bytes.length) {
      if (bytes[at] !== PREFACE[this.#prefaceAt]) throw new ConnectionFault('PREFACE_INVALID')
      this.#prefaceAt += 1
      at += 1
    }
    return at
  }

  protected takeNewHeaders(id: number, endStream: boolean): void {
    if (id <= this.lastPeerStream || id % 2 === 0) return this.#refuseOld(id)
    this.lastPeerStream = id
    if (this.#refusing) return this.closed.addReset(id)
    if (this.streams.size >= this.streamsMax) return this.refuse(id, HTTP2_ERROR.REFUSED_STREAM)
    const { fields } = this
    const head = fields.tooLarge ? undefined : this.#judge(endStream)
    if (head === undefined) {
      this.#handler.onRefused?.(fields.tooLarge ? 'too large' : 'malformed')
      return this.refuse(id, fields.tooLarge ? HTTP2_ERROR.ENHANCE_YOUR_CALM : HTTP2_ERROR.PROTOCOL_ERROR)
    }
    const receiveWindow = this.streamWindowBytes
    const stream = new Http2Stream(this, { id, sendWindow: this.peer.windowBytes, receiveWindow })
    stream.hasHead = true
    stream.bodyBytesLeft = fields.contentLength
    stream.remoteEnded = endStream
    this.streams.set(id, stream)
    this.#handler.onRequest(stream, head, endStream)
  }

  protected takeHead(): void {
    // A request's head is what opens its stream.
  }

  /** Push is off: a client has no streams of ours to keep. */
  protected takeGoaway(): void {}

  protected takePingAck(payload: Uint8Array): boolean {
    const isAsked = this.#draining && DRAIN_PING.equals(payload)
    if (isAsked) this.#drainNow()
    return isAsked
  }

  protected isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.lastPeerStream
  }

  protected onStreamClosed(): void {
    if (this.#refusing && this.streams.size === 0) this.close()
  }

  protected onSettings(): void {}

  protected onOver(): void {
    this.#cancelDrain?.()
    this.#handler.onClosed()
  }

  protected override localEnd(stream: Http2Stream): void {
    if (!stream.remoteEnded) this.#answeredEarly.push(stream)
    super.localEnd(stream)
  }

  /** RFC 9113 §8.1: nobody needs the rest of a request that is answered, unless it is here by now. */
  protected override beforeFlush(): void {
    if (this.#answeredEarly.length === 0) return
    const streams = this.#answeredEarly
    this.#answeredEarly = []
    for (const stream of streams) if (!stream.remoteEnded) stream.reset(HTTP2_ERROR.NO_ERROR)
  }

  #drainNow(): void {
    if (this.#refusing || this.over) return
    this.#cancelDrain?.()
    this.#refusing = true
    this.sayGoodbye(this.lastPeerStream)
    if (this.streams.size === 0) this.close()
  }

  #refuseOld(id: number): void {
    if (this.closed.wasReset(id)) return
    throw new ConnectionFault(this.closed.has(id) ? 'STREAM_OVER' : 'STREAM_ID_INVALID')
  }

  /** RFC 9113 §8.3.1. @returns undefined for what is no request */
  #judge(endStream: boolean): Http2RequestHead | undefined {
    const { fields } = this
    const { method, scheme, path, contentLength, host } = fields
    if (fields.malformed || method === undefined || fields.status !== undefined) return undefined
    if (!consistsOf(TOKEN, method) || method === '') return undefined
    const authority = fields.authority ?? host ?? ''
    if (host !== undefined && host !== authority && host.toLowerCase() !== authority.toLowerCase()) return undefined
    if (authority !== this.#knownAuthority) {
      if (!isAuthority(authority)) return undefined
      this.#knownAuthority = authority
    }
    if (method === 'CONNECT') {
      if (scheme !== undefined || path !== undefined || authority === '') return undefined
    } else if (scheme === undefined || path === undefined || !isPath(path, method)) {
      return undefined
    }
    if (endStream && contentLength > 0) return undefined
    const framing: BodyFraming = endStream || contentLength === 0 ? 'none' : contentLength > 0 ? 'length' : 'chunked'
    return {
      method,
      scheme: scheme ?? '',
      authority,
      path: path ?? '',
      headers: fields.takeHeaders(authority),
      framing,
      contentLength: framing === 'length' ? contentLength : 0,
      expectContinue: fields.expectContinue && framing !== 'none',
    }
  }
}

function isPath(path: string, method: string): boolean {
  return path.startsWith('/') ? consistsOf(TARGET, path) : path === '*' && method === 'OPTIONS'
}

const statusTexts = new Map<number, string>()

function statusText(status: number): string {
  let text = statusTexts.get(status)
  if (text === undefined) {
    text = String(status)
    statusTexts.set(status, text)
  }
  return text
}
