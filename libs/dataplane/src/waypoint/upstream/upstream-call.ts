import type { Clock, Random } from '@ambient-lab/std'
import { MiB } from '@ambient-lab/std'
import type { HeaderMap, OutgoingRequest, ResponseHead } from '../../http1/index.ts'
import type { DownstreamPeer } from '../request-record.ts'
import type { Cluster } from './cluster.ts'
import { type TryObserver, UpstreamRequest } from './upstream-request.ts'

/** A whole answer. */
export interface UpstreamCallResult {
  readonly status: number
  readonly headers: HeaderMap
  readonly trailers: HeaderMap | undefined
  readonly body: Buffer
}

/** An answer that a proxy reads whole is short; what is longer is none. Envoy's `per_connection_buffer_limit_bytes`. */
const BODY_BYTES_MAX = MiB

/** A request of the proxy's own, with a short body or none, whose answer is read whole. */
export class UpstreamCall implements TryObserver {
  readonly #onResult: (result: UpstreamCallResult | undefined) => void
  readonly #request: UpstreamRequest | undefined
  readonly #sent: Uint8Array | undefined
  readonly #body: Uint8Array[] = []
  #bytes = 0
  #head: ResponseHead | undefined
  #over = false

  constructor(init: {
    readonly cluster: Cluster
    readonly clock: Clock
    readonly random: Random
    /** Of whose request it is about; the call itself is the proxy's. */
    readonly peer: DownstreamPeer
    readonly head: OutgoingRequest
    readonly body?: Uint8Array
    /** For clusters that speak what their clients speak. @default false */
    readonly isHttp2?: boolean
    /** Called once unless cancelled; undefined when there was no answer. */
    readonly onResult: (result: UpstreamCallResult | undefined) => void
  }) {
    const { cluster, clock, random, peer, head, isHttp2 = false } = init
    this.#sent = init.body
    this.#onResult = init.onResult
    const host = cluster.pick({ random, hash: undefined }, peer)
    this.#request =
      host && new UpstreamRequest({ cluster, clock, host, peer: undefined, head, isHttp2, observer: this })
  }

  start(): void {
    if (this.#request) this.#request.start()
    else queueMicrotask(() => this.#end(undefined))
  }

  cancel(): void {
    if (this.#over) return
    this.#over = true
    this.#request?.cancel()
  }

  onReady(): void {
    if (this.#sent) this.#request!.writeBody(this.#sent)
    this.#request!.end(undefined)
  }

  onResponseHead(head: ResponseHead): void {
    this.#head = head
  }

  onResponseBody(piece: Uint8Array): void {
    this.#bytes += piece.length
    this.#body.push(piece)
    if (this.#bytes <= BODY_BYTES_MAX) return
    this.#request!.cancel()
    this.#end(undefined)
  }

  onResponseEnd(trailers: HeaderMap | undefined): void {
    const { status, headers } = this.#head!
    this.#end({ status, headers, trailers, body: Buffer.concat(this.#body) })
  }

  onRequestDrain(): void {}

  onReset(): void {
    this.#end(undefined)
  }

  #end(result: UpstreamCallResult | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#onResult(result)
  }
}
