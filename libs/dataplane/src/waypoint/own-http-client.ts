import { type Clock, CodedError, type Random } from '@ambient-lab/std'
import { resolveHost } from '../capture/resolver.ts'
import { dataplaneError } from '../errors.ts'
import { HeaderMap, type ResponseHead } from '../http1/index.ts'
import type { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import { OWN_REQUEST_TIMEOUT_MS, OWN_RESPONSE_BYTES_MAX, SPANS_POST_TIMEOUT_MS } from './limits.ts'
import type { OwnWorkload } from './own-workload.ts'
import type { EndpointDialer } from './upstream/endpoint-dialer.ts'
import { Http1Connection } from './upstream/http1-connection.ts'
import type { ResponseObserver } from './upstream/upstream-connection.ts'

export interface OwnHttpClientComponents {
  readonly random: Random
  readonly state: ProxyStateHolder
  /** Whose names count. */
  readonly own: OwnWorkload
  readonly dialer: EndpointDialer
}

export interface OwnHttpClientInit {
  readonly clusterDomain: string
}

export interface OwnRequest {
  readonly method: 'GET' | 'POST'
  /** `http://…` */
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly signal: AbortSignal
}

export interface OwnResponse {
  readonly status: number
  readonly body: Buffer
}

const USER_AGENT = 'ambient-lab'

/**
 * HTTP that a proxy does for itself: keys of token issuers, spans. Names of the lab are dialled through the mesh as the
 * proxy. One connection each: such requests are rare.
 */
export class OwnHttpClient {
  readonly #components: OwnHttpClientComponents
  readonly #init: OwnHttpClientInit

  constructor(components: OwnHttpClientComponents, init: OwnHttpClientInit) {
    this.#components = components
    this.#init = init
  }

  /** Whether the host of a URL is one of the lab, which nobody outside of it can reach. */
  reaches(url: string): boolean {
    return this.#addressOf(new URL(url).hostname) !== undefined
  }

  /** @throws CodedError of the dial; RESPONSE_TOO_LARGE, UPSTREAM_DISCONNECTED; the signal's reason */
  async request({ method, url, headers = {}, body, signal }: OwnRequest): Promise<OwnResponse> {
    const { hostname, port, host, pathname, search } = new URL(url)
    const address = this.#addressOf(hostname) ?? hostname
    const destination = { address, port: Number(port) || 80 }
    const stream = await this.#components.dialer.dialAddress(destination, { timeoutMs: OWN_REQUEST_TIMEOUT_MS, signal })
    const fields = new HeaderMap()
    fields.append('host', host)
    fields.append('user-agent', USER_AGENT)
    for (const [name, value] of Object.entries(headers)) fields.append(name, value)
    const exchange = new Exchange()
    const connection = new Http1Connection(stream, { onIdle: (idle) => idle.close(), onClosed() {} }, 0)
    const onAbort = () => {
      connection.abandon()
      exchange.fail(
        CodedError.is(signal.reason) ? signal.reason : new CodedError('ABORTED', 'the request was given up'),
      )
    }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      connection.send(
        {
          method,
          target: `${pathname}${search}`,
          headers: fields,
          keepAlive: false,
          framing: body ? 'length' : 'none',
          contentLength: body?.length ?? 0,
        },
        exchange,
      )
      if (body) connection.writeBody(body)
      connection.endRequest(undefined)
      return await exchange.response
    } catch (error) {
      connection.abandon()
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** A text of the lab. @throws CodedError as `request`; FETCH_REFUSED unless it is 200 */
  async fetchText(url: string, signal: AbortSignal): Promise<string> {
    const { status, body } = await this.request({ method: 'GET', url, signal })
    if (status !== 200) throw new CodedError('FETCH_REFUSED', `${url}: status ${status}`)
    return body.toString('utf8')
  }

  /** Sends JSON; what is answered is the collector's affair. @throws CodedError as `request` */
  async post(url: string, json: string, clock: Clock): Promise<void> {
    const timeout = new AbortController()
    const late = new CodedError('TIMEOUT', `${url} took longer than ${SPANS_POST_TIMEOUT_MS} ms`)
    const cancel = clock.schedule(SPANS_POST_TIMEOUT_MS, () => timeout.abort(late), { background: true })
    try {
      const headers = { 'content-type': 'application/json' }
      await this.request({ method: 'POST', url, headers, body: Buffer.from(json), signal: timeout.signal })
    } finally {
      cancel()
    }
  }

  #addressOf(host: string): string | undefined {
    const { random, state } = this.#components
    const { clusterDomain } = this.#init
    const source = this.#components.own.current
    if (!source) return undefined
    const resolution = resolveHost(state.current, { host, source, clusterDomain, random })
    return resolution.kind === 'address' ? resolution.address : undefined
  }
}

/** Gathers one response, which is short. */
class Exchange implements ResponseObserver {
  readonly #result = Promise.withResolvers<OwnResponse>()
  readonly #pieces: Uint8Array[] = []
  #bytes = 0
  #status = 0

  get response(): Promise<OwnResponse> {
    return this.#result.promise
  }

  fail(error: CodedError): void {
    this.#result.reject(error)
  }

  onHead({ status }: ResponseHead): void {
    this.#status = status
  }

  onBody(piece: Uint8Array): void {
    this.#bytes += piece.length
    if (this.#bytes > OWN_RESPONSE_BYTES_MAX) {
      this.fail(new CodedError('RESPONSE_TOO_LARGE', `more than ${OWN_RESPONSE_BYTES_MAX} bytes`))
    } else {
      this.#pieces.push(piece.slice())
    }
  }

  onTrailers(): void {}

  onEnd(): void {
    this.#result.resolve({ status: this.#status, body: Buffer.concat(this.#pieces) })
  }

  onDrain(): void {}

  onReset(reason: string, failure: string): void {
    this.fail(dataplaneError('UPSTREAM_DISCONNECTED', failure === '' ? reason : `${reason}: ${failure}`))
  }
}
