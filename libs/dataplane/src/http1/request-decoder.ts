import { HttpCodecError, type HttpCodecErrorCode, Refusal } from './errors.ts'
import { type BodyFraming, CONNECTION } from './head-facts.ts'
import { SCAN } from './head-scanner.ts'
import { MessageDecoder, type MessageDecoderInit, type MessageHead, type MessageSink } from './message-decoder.ts'
import { isAuthority, methodOf, parseRequestTarget } from './request-target.ts'

export interface RequestHead extends MessageHead {
  readonly method: string
  /** As it was sent. */
  readonly target: string
  /** Path and query, `*` for all of the server, or empty for CONNECT. Not normalised. */
  readonly path: string
  /** What the target says, undefined when it does not: then the connection decides. */
  readonly scheme: 'http' | 'https' | undefined
  /** The target's, else Host's (RFC 9112 §3.3); empty when neither names one. `headers` has the same as Host. */
  readonly authority: string
  /** The value of Upgrade when Connection asks for it too; not `h2c`, which is declined as Envoy does. */
  readonly upgrade: string | undefined
  /** The client waits for 100 (Continue), or a refusal, before it sends the body. */
  readonly expectContinue: boolean
}

export type RequestSink = MessageSink<RequestHead>

/**
 * The requests of one connection, strictly as RFC 9112 has them. After a CONNECT or a request to upgrade it pauses by
 * itself: `takeRest` when the other protocol begins, `resume` when it was declined. After a request that closes the
 * connection it reads nothing more (RFC 9112 §9.6).
 */
export class RequestDecoder extends MessageDecoder<RequestHead, RequestSink> {
  /** The last Host that was judged: clients send the same again and again. */
  #knownHost = ''
  #asksToSwitch = false

  constructor(sink: RequestSink, init: MessageDecoderInit = {}) {
    super(sink, SCAN.REQUEST, init)
  }

  protected readHead(text: string): RequestHead {
    const { scanner, facts } = this
    const method = methodOf(text, scanner.methodEnd)
    const target = text.substring(scanner.targetStart, scanner.targetEnd)
    facts.read(scanner, text)
    const isHttp11 = scanner.minor === 1
    const host = this.#judgeHost(isHttp11)
    const { scheme, authority, path } = parseRequestTarget(method, target)
    // Every form names the same origin to whoever comes next.
    if (authority !== undefined && authority !== host) facts.headers.set('host', authority)
    const framing = this.#framing(method, isHttp11)
    const wantsUpgrade = facts.upgrade !== undefined && (facts.connection & CONNECTION.UPGRADE) !== 0
    // RFC 9110 §7.8: not in HTTP/1.0.
    this.#asksToSwitch = wantsUpgrade && isHttp11
    return {
      method,
      target,
      path,
      scheme,
      authority: authority ?? host,
      version: isHttp11 ? '1.1' : '1.0',
      headers: facts.headers,
      framing,
      contentLength: framing === 'length' ? facts.contentLength : 0,
      keepAlive: isHttp11 ? (facts.connection & CONNECTION.CLOSE) === 0 : this.#keepsAlive10(wantsUpgrade),
      upgrade: this.#asksToSwitch && !isH2c(facts.upgrade!) ? facts.upgrade : undefined,
      expectContinue: facts.expectContinue && isHttp11 && framing !== 'none',
    }
  }

  protected messageBegins(): void {}

  protected maySwitch({ method }: RequestHead): boolean {
    return this.#asksToSwitch || method === 'CONNECT'
  }

  protected takeInterim(): boolean {
    return false
  }

  protected messageEnds(): void {}

  protected endsIdle(): void {}

  protected error(code: HttpCodecErrorCode): HttpCodecError {
    return new HttpCodecError(code, { origin: 'downstream' })
  }

  /** @returns empty when there is none */
  #judgeHost(isRequired: boolean): string {
    const { host } = this.facts
    if (host === undefined) {
      if (isRequired) throw new Refusal('HOST_MISSING')
      return ''
    }
    if (host === this.#knownHost) return host
    if (!isAuthority(host)) throw new Refusal('HOST_INVALID')
    this.#knownHost = host
    return host
  }

  #framing(method: string, isHttp11: boolean): BodyFraming {
    const { hasTransferEncoding, contentLength } = this.facts
    if (hasTransferEncoding) {
      // RFC 9112 §6.1: its framing is faulty.
      if (!isHttp11) throw new Refusal('TRANSFER_ENCODING_NOT_ALLOWED')
      if (method === 'CONNECT') throw new Refusal('BODY_DISALLOWED')
      return 'chunked'
    }
    if (contentLength > 0 && method === 'CONNECT') throw new Refusal('BODY_DISALLOWED')
    return contentLength > 0 ? 'length' : 'none'
  }

  /** What follows an upgrade that HTTP/1.0 does not have is of neither protocol. */
  #keepsAlive10(wantsUpgrade: boolean): boolean {
    const { connection } = this.facts
    return (connection & (CONNECTION.KEEP_ALIVE | CONNECTION.CLOSE)) === CONNECTION.KEEP_ALIVE && !wantsUpgrade
  }
}

/** What Java's client asks of every server: RFC 9113 §3.1 has done away with it. */
function isH2c(upgrade: string): boolean {
  return upgrade.toLowerCase() === 'h2c'
}
