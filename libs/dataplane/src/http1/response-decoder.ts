import { assert } from '@ambient-lab/std'
import { HttpCodecError, type HttpCodecErrorCode, Refusal } from './errors.ts'
import { type BodyFraming, CONNECTION } from './head-facts.ts'
import { SCAN } from './head-scanner.ts'
import { MessageDecoder, type MessageDecoderInit, type MessageHead, type MessageSink } from './message-decoder.ts'

export interface ResponseHead extends MessageHead {
  readonly status: number
  /** As it was sent; may be empty. */
  readonly reason: string
  /** The protocol that follows a 101. */
  readonly upgrade: string | undefined
}

export interface ResponseSink extends MessageSink<ResponseHead> {
  /** 100 (Continue), 103 (Early Hints) and the like: the real head comes later. */
  onInterimHead(head: ResponseHead): void
}

/** What the request was that a response answers: parts of a response's framing depend on it. */
export interface ResponseExpectation {
  readonly method: string
  /** Whether it asked for an upgrade: without that a 101 is refused. @default false */
  readonly upgrade?: boolean
}

/**
 * The responses of one connection. It is told of each request before its response can come, one at a time; anything
 * that comes unasked is an error, so that no response can be taken for the answer to a later request. After a 101, and
 * a 2xx to a CONNECT, it pauses by itself: `takeRest` has the first bytes of what follows.
 */
export class ResponseDecoder extends MessageDecoder<ResponseHead, ResponseSink> {
  #expected: ResponseExpectation | undefined

  constructor(sink: ResponseSink, init: MessageDecoderInit = {}) {
    super(sink, SCAN.RESPONSE, init)
  }

  /** A request was sent; the response to the one before has ended. */
  expect(request: ResponseExpectation): void {
    assert(this.#expected === undefined, 'one request at a time')
    this.#expected = request
  }

  /** Whether a response is still to come, or to end. */
  get expecting(): boolean {
    return this.#expected !== undefined
  }

  protected readHead(text: string): ResponseHead {
    const { scanner, facts } = this
    facts.read(scanner, text)
    const { status } = scanner
    const isHttp11 = scanner.minor === 1
    const { connection } = facts
    const framing = this.#framing(status, isHttp11)
    const canKeepAlive = isHttp11
      ? (connection & CONNECTION.CLOSE) === 0
      : (connection & (CONNECTION.KEEP_ALIVE | CONNECTION.CLOSE)) === CONNECTION.KEEP_ALIVE
    return {
      status,
      reason: text.substring(scanner.reasonStart, scanner.reasonEnd),
      version: isHttp11 ? '1.1' : '1.0',
      headers: facts.headers,
      framing,
      contentLength: framing === 'length' ? facts.contentLength : 0,
      keepAlive: canKeepAlive && framing !== 'until-close',
      upgrade: status === 101 ? facts.upgrade : undefined,
    }
  }

  protected messageBegins(): void {
    if (this.#expected === undefined) throw new Refusal('RESPONSE_UNEXPECTED')
  }

  protected maySwitch({ status }: ResponseHead): boolean {
    return status === 101 || (this.#expected?.method === 'CONNECT' && isSuccess(status))
  }

  protected takeInterim(head: ResponseHead): boolean {
    if (head.status >= 200 || head.status === 101) return false
    if (!head.keepAlive || head.version === '1.0') throw new Refusal('INTERIM_INVALID')
    this.sink.onInterimHead(head)
    return true
  }

  protected messageEnds(): void {
    this.#expected = undefined
  }

  protected endsIdle(): void {
    if (this.#expected !== undefined) throw new Refusal('RESPONSE_MISSING')
  }

  protected error(code: HttpCodecErrorCode): HttpCodecError {
    const retry = code === 'RESPONSE_MISSING' ? 'if-reused' : 'no'
    return new HttpCodecError(code, { origin: 'upstream', retry })
  }

  /** RFC 9110 §7.8: both fields. */
  #upgrades(): boolean {
    return this.facts.upgrade !== undefined && (this.facts.connection & CONNECTION.UPGRADE) !== 0
  }

  /** RFC 9112 §6.3. */
  #framing(status: number, isHttp11: boolean): BodyFraming {
    const { facts } = this
    const { method, upgrade = false } = this.#expected!
    if (status === 101 && !(upgrade && this.#upgrades())) throw new Refusal('RESPONSE_UNEXPECTED')
    if (facts.hasTransferEncoding && !isHttp11) throw new Refusal('TRANSFER_ENCODING_NOT_ALLOWED')
    if (status < 200 || status === 204 || (method === 'CONNECT' && isSuccess(status))) {
      if (facts.hasTransferEncoding) throw new Refusal('TRANSFER_ENCODING_NOT_ALLOWED')
      if (facts.contentLength > 0) throw new Refusal('CONTENT_LENGTH_NOT_ALLOWED')
      facts.headers.delete('content-length')
      return 'none'
    }
    if (method === 'HEAD' || status === 304) return 'none'
    if (facts.hasTransferEncoding) return 'chunked'
    if (facts.contentLength < 0) return 'until-close'
    return facts.contentLength > 0 ? 'length' : 'none'
  }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}
