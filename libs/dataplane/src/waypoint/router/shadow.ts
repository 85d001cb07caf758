import type { HeaderMap, OutgoingRequest } from '../../http1/index.ts'
import type { HttpStream } from '../http-stream.ts'
import { MIRROR_BUFFER_BYTES_MAX } from '../limits.ts'
import { type TryObserver, UpstreamRequest } from '../upstream/upstream-request.ts'

/** A copy of a request that is sent elsewhere and forgotten: its answer changes nothing, nor does its failure. */
export class Shadow implements TryObserver {
  readonly #request: UpstreamRequest
  readonly #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #end: { readonly trailers: HeaderMap | undefined } | undefined
  #over = false

  /** @returns undefined where there is nobody to send it to */
  static start(stream: HttpStream, clusterName: string, head: OutgoingRequest): Shadow | undefined {
    const { clusters, random, clock } = stream.runtime
    const isHttp2 = stream.record.protocol === 'HTTP/2'
    const cluster = clusters.get(clusterName)
    const host = cluster?.pick({ random, hash: undefined }, stream.peer)
    if (!cluster || !host) return undefined
    // Envoy marks the copy, so that a backend can tell it from the request.
    const headers = head.headers.clone()
    headers.set('host', shadowAuthority(stream.request.authority))
    return new Shadow((observer) => {
      return new UpstreamRequest({
        cluster,
        clock,
        host,
        peer: stream.peer,
        head: { ...head, headers },
        isHttp2,
        observer,
      })
    })
  }

  private constructor(make: (observer: TryObserver) => UpstreamRequest) {
    this.#request = make(this)
    this.#request.start()
  }

  writeBody(piece: Uint8Array): void {
    if (this.#over) return
    if (this.#request.isReady) {
      this.#request.writeBody(piece)
      return
    }
    this.#waiting.push(piece)
    this.#waitingBytes += piece.length
    if (this.#waitingBytes > MIRROR_BUFFER_BYTES_MAX) this.cancel()
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.#over) return
    if (this.#request.isReady) this.#request.end(trailers)
    else this.#end = { trailers }
  }

  cancel(): void {
    this.#over = true
    this.#waiting.length = 0
    this.#request.cancel()
  }

  onReady(): void {
    for (const piece of this.#waiting.splice(0)) this.#request.writeBody(piece)
    if (this.#end) this.#request.end(this.#end.trailers)
  }

  onResponseHead(): void {}

  onResponseBody(): void {}

  onResponseEnd(): void {
    this.#over = true
  }

  onRequestDrain(): void {}

  onReset(): void {
    this.#over = true
  }
}

/** `reviews:9080` → `reviews-shadow:9080`. */
export function shadowAuthority(authority: string): string {
  const colon = authority.lastIndexOf(':')
  if (colon <= authority.lastIndexOf(']')) return `${authority}-shadow`
  return `${authority.slice(0, colon)}-shadow${authority.slice(colon)}`
}
