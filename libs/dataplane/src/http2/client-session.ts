import { assert, CodedError, type Random } from '@ambient-lab/std'
import { consistsOf, TARGET, TOKEN } from '../http1/characters.ts'
import type { OutgoingRequest } from '../http1/encoder.ts'
import { HttpCodecError } from '../http1/errors.ts'
import type { BodyFraming } from '../http1/head-facts.ts'
import { HEAD_BYTES_MAX } from '../http1/limits.ts'
import type { ResponseHead } from '../http1/response-decoder.ts'
import { ConnectionFault, HTTP2_ERROR } from './errors.ts'
import { FRAME, PREFACE, SETTING, STREAM_ID_MAX } from './frame.ts'
import { encodeHeaders } from './hpack-encoder.ts'
import { Http2Session } from './http2-session.ts'
import type { Http2SessionComponents, Http2SessionInit } from './http2-session-init.ts'
import { Http2Stream, type Http2StreamSink } from './http2-stream.ts'
import { Keepalive, type KeepaliveInit } from './keepalive.ts'

/** Who made a request, and hears the answer. */
export interface Http2ResponseSink extends Http2StreamSink {
  /** Before everything else; of 1xx nobody is told. */
  onHead(head: ResponseHead): void
}

/** Who owns a connection to a server. */
export interface Http2ClientOwner {
  /** Another stream may find room. */
  onRoom(): void
  /** The connection is gone; its streams were told. */
  onClosed(): void
}

/** A stream of ours. */
export class Http2ClientStream extends Http2Stream {
  declare sink: Http2ResponseSink | undefined
  /** Its answer has no body, whatever it says. */
  isHead = false
}

export interface Http2ClientInit extends Http2SessionInit {
  readonly owner: Http2ClientOwner
  /** Whether the peer is asked if it is there, and how patiently. @default never */
  readonly keepalive?: (Pick<KeepaliveInit, 'intervalMs' | 'timeoutMs'> & { readonly random: Random }) | undefined
}

/** The client's side of a connection, with as many requests at once as the server allows. Push is off. */
export class Http2ClientSession extends Http2Session {
  protected readonly isServer = false
  readonly #owner: Http2ClientOwner
  readonly #keepalive: Keepalive | undefined
  #nextStream = 1
  #goingAway = false

  constructor(components: Http2SessionComponents, init: Http2ClientInit) {
    super(components, init)
    const { owner, keepalive } = init
    this.#owner = owner
    this.writer.bytes(PREFACE)
    this.sendPreface([
      [SETTING.ENABLE_PUSH, 0],
      [SETTING.INITIAL_WINDOW_SIZE, this.streamWindowBytes],
      [SETTING.MAX_HEADER_LIST_SIZE, HEAD_BYTES_MAX],
    ])
    if (!keepalive) return
    const { intervalMs, timeoutMs, random } = keepalive
    const ping = () => {
      if (!this.over) this.writer.frame(FRAME.PING, 0, 0, PING)
    }
    // At once, and not as `close` does it: the peer is not there to read a goodbye.
    const onSilence = () => components.stream.reset(new CodedError('PEER_SILENT', 'a PING was not answered in time'))
    this.#keepalive = new Keepalive({ clock: components.clock, random }, { intervalMs, timeoutMs, ping, onSilence })
  }

  /** It takes new requests, if there are places. */
  get isUsable(): boolean {
    return !this.over && !this.#goingAway && this.#nextStream <= STREAM_ID_MAX
  }

  /** Requests at once that both sides allow. */
  get placesMax(): number {
    return Math.min(this.streamsMax, this.peer.streamsMax)
  }

  /**
   * Sends the head of a request; its body is written to the stream.
   * @throws HttpCodecError NOT_ENCODABLE, with nothing sent
   */
  request(request: OutgoingRequest, scheme: string, sink: Http2ResponseSink): Http2ClientStream {
    const { method, target, headers, framing, contentLength } = request
    assert(!this.over, 'a request on a connection that is over')
    if (!consistsOf(TOKEN, method) || method === '') notEncodable('method', method)
    if (!consistsOf(TARGET, target) || target === '') notEncodable('target', target)
    const id = this.#nextStream
    this.#nextStream += 2
    const receiveWindow = this.streamWindowBytes
    const stream = new Http2ClientStream(this, { id, sendWindow: this.peer.windowBytes, receiveWindow })
    stream.sink = sink
    stream.isHead = method === 'HEAD'
    this.streams.set(id, stream)
    const { encoder } = this
    encoder.begin()
    encoder.field(':method', method)
    if (method === 'CONNECT') {
      encoder.field(':authority', target)
    } else {
      encoder.field(':scheme', scheme)
      encoder.field(':path', target)
      const host = headers.get('host')
      if (host !== undefined) encoder.field(':authority', host)
    }
    if (framing === 'length') encoder.field('content-length', String(contentLength))
    encodeHeaders(encoder, headers)
    this.sendHeaders(id, false)
    return stream
  }

  /** Nothing new; closes behind the last answer. */
  drain(): void {
    this.#goingAway = true
    if (this.streams.size === 0) this.close()
  }

  protected takeNewHeaders(id: number): void {
    if (this.isIdle(id)) throw new ConnectionFault('STREAM_IDLE')
    // What crossed our reset on its way.
    if (!this.closed.wasReset(id)) throw new ConnectionFault('STREAM_OVER')
  }

  /** RFC 9113 §8.3.2. */
  protected takeHead(stream: Http2ClientStream, endStream: boolean): void {
    const { fields } = this
    const { status: text, contentLength } = fields
    const isResponse = text !== undefined && STATUS.test(text) && fields.method === undefined
    const hasOthers = fields.scheme !== undefined || fields.authority !== undefined || fields.path !== undefined
    if (!isResponse || hasOthers || fields.malformed || fields.tooLarge) return this.#refuseAnswer(stream)
    const status = Number(text)
    if (status < 200) {
      // RFC 9113 §8.6: HTTP/2 switches to nothing. 100 was answered by us already; of hints Envoy passes none on.
      if (status === 101 || endStream) this.#refuseAnswer(stream)
      return
    }
    stream.hasHead = true
    const isBodiless = stream.isHead || status === 204 || status === 304
    stream.bodyBytesLeft = isBodiless ? 0 : contentLength
    if (endStream && stream.bodyBytesLeft > 0) return this.#refuseAnswer(stream)
    const framing: BodyFraming =
      isBodiless || endStream || contentLength === 0 ? 'none' : contentLength > 0 ? 'length' : 'chunked'
    stream.sink?.onHead({
      status,
      reason: '',
      version: '1.1',
      headers: fields.takeHeaders(),
      framing,
      contentLength: framing === 'length' ? contentLength : 0,
      keepAlive: true,
      upgrade: undefined,
    })
    if (endStream && !stream.over) this.headEnds(stream)
  }

  protected takeGoaway(last: number): void {
    this.#goingAway = true
    for (const stream of [...this.streams.values()]) if (stream.id > last) stream.fail('refused')
    if (this.streams.size === 0) this.close()
    else this.#owner.onRoom()
  }

  override onFrameHead(type: number, flags: number, stream: number, length: number): void {
    this.#keepalive?.heard()
    super.onFrameHead(type, flags, stream, length)
  }

  /** One question at a time: any answer is the one to it. */
  protected takePingAck(): boolean {
    return this.#keepalive?.answered() ?? false
  }

  protected isIdle(id: number): boolean {
    return id % 2 === 0 || id >= this.#nextStream
  }

  protected onStreamClosed(): void {
    if (this.#goingAway && this.streams.size === 0) this.close()
  }

  protected onSettings(): void {
    this.#owner.onRoom()
  }

  protected onOver(): void {
    this.#keepalive?.stop()
    this.#owner.onClosed()
  }

  #refuseAnswer(stream: Http2ClientStream): void {
    this.refuse(stream.id, HTTP2_ERROR.PROTOCOL_ERROR)
    stream.fail('malformed')
  }
}

/** Of a PING: nobody has to tell ours apart. */
const PING = new Uint8Array(8)

const STATUS = /^[1-9][0-9][0-9]$/

function notEncodable(what: string, text: string): never {
  throw new HttpCodecError('NOT_ENCODABLE', {}, `${what} ${JSON.stringify(text)}`)
}
