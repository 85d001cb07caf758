import type { CancelTimer } from '@ambient-lab/std'
import type { ForwardAction } from '@ambient-lab/xds'
import {
  type HeaderMap,
  HttpCodecError,
  type OutgoingRequest,
  type ResponseHead,
  removeHopByHop,
} from '../../http1/index.ts'
import { hex8 } from '../../random-id.ts'
import { defineHttpFilter, type FilterStatus, type HttpFilter } from '../filter.ts'
import type { CompiledBackend, CompiledRoute } from '../http-runtime.ts'
import type { HttpStream, ResponseSource } from '../http-stream.ts'
import { RETRY_BUFFER_BYTES_MAX } from '../limits.ts'
import { LOCAL_REPLIES, type LocalReply, resetReply } from '../local-replies.ts'
import { hashRequest } from '../router/hash-policy.ts'
import { hostForTry } from '../router/host-for-try.ts'
import { type ResetReason, retryDelayMs, type TryOutcome } from '../router/retries.ts'
import { Shadow } from '../router/shadow.ts'
import { timeoutsOf } from '../router/timeouts.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { UpstreamHost } from '../upstream/host.ts'
import { type TryObserver, UpstreamRequest } from '../upstream/upstream-request.ts'

/** The end of the chain: answers from the route, or forwards to a cluster and tries again where the route says so. */
export default defineHttpFilter({
  name: 'router',
  phase: 'route',
  create:
    ({ route }) =>
    (stream) => {
      if (!route || !stream.route) return new NoRoute()
      switch (route.action.kind) {
        case 'forward':
          return new Forwarding(stream, stream.route, route.action.forward)
        case 'redirect':
          return new Redirecting(route.action.redirect.status)
        case 'direct-response':
          return new DirectResponse(route.action.status, route.action.body ?? '')
      }
    },
})

const DIRECT_RESPONSE: LocalReply = { ...LOCAL_REPLIES.INVALID_BACKEND, hint: 'the route answers so by itself' }

class NoRoute implements HttpFilter {
  decodeHeaders(stream: HttpStream): FilterStatus {
    stream.localReply(LOCAL_REPLIES.ROUTE_NOT_FOUND)
    return 'stop'
  }
}

class Redirecting implements HttpFilter {
  readonly #status: number

  constructor(status: number) {
    this.#status = status
  }

  decodeHeaders(stream: HttpStream): FilterStatus {
    const location = stream.route!.locationOf!(stream.request)
    answerFromRoute(stream, this.#status, '', [['location', location]])
    return 'stop'
  }
}

class DirectResponse implements HttpFilter {
  readonly #status: number
  readonly #body: string

  constructor(status: number, body: string) {
    this.#status = status
    this.#body = body
  }

  decodeHeaders(stream: HttpStream): FilterStatus {
    answerFromRoute(stream, this.#status, this.#body, [])
    return 'stop'
  }

  encodeHeaders(stream: HttpStream, response: { readonly headers: HeaderMap }): FilterStatus {
    stream.route!.responseHeaders?.apply(response.headers, stream.record)
    return 'continue'
  }
}

function answerFromRoute(
  stream: HttpStream,
  status: number,
  body: string,
  headers: readonly (readonly [string, string])[],
): void {
  stream.localReply(DIRECT_RESPONSE, { status, body, headers })
}

/** One request on its way to a backend, with all its tries. */
class Forwarding implements HttpFilter, TryObserver, ResponseSource {
  readonly #stream: HttpStream
  readonly #route: CompiledRoute
  readonly #forward: ForwardAction
  #cluster: Cluster | undefined
  #backend: CompiledBackend | undefined
  #head: OutgoingRequest | undefined
  #hash: number | undefined
  #setCookie: string | undefined
  #try: UpstreamRequest | undefined
  #overallMs: number | undefined
  #perTryMs: number | undefined
  #cancelOverall: CancelTimer | undefined
  #cancelPerTry: CancelTimer | undefined
  #cancelBackoff: CancelTimer | undefined
  /** What came of the body and may still be needed: for a try that is not ready, or for another one. */
  #body: Uint8Array[] = []
  #bodyBytes = 0
  #requestEnded = false
  #trailers: HeaderMap | undefined
  #retriesLeft: number
  #holdsRetry = false
  #tried: UpstreamHost[] | undefined
  #shadows: Shadow[] | undefined
  #responding = false

  constructor(stream: HttpStream, route: CompiledRoute, forward: ForwardAction) {
    this.#stream = stream
    this.#route = route
    this.#forward = forward
    this.#retriesLeft = forward.retry?.attempts ?? 0
  }

  decodeHeaders(stream: HttpStream, endStream: boolean): FilterStatus {
    const backend = this.#drawBackend()
    if (!backend?.cluster) {
      stream.localReply(LOCAL_REPLIES.INVALID_BACKEND)
      return 'stop'
    }
    const cluster = stream.runtime.clusters.get(backend.cluster)
    stream.record.cluster = backend.cluster
    if (!cluster) {
      stream.localReply(LOCAL_REPLIES.CLUSTER_NOT_FOUND)
      return 'stop'
    }
    if (stream.request.upgrade !== undefined && !this.#allowsUpgrade(stream.request.upgrade)) {
      stream.localReply(LOCAL_REPLIES.UPGRADE_NOT_ALLOWED)
      return 'stop'
    }
    this.#backend = backend
    this.#cluster = cluster
    this.#requestEnded = endStream
    this.#start(cluster, backend, endStream)
    return 'continue'
  }

  decodeData(stream: HttpStream, piece: Uint8Array): FilterStatus {
    for (const shadow of this.#shadows ?? []) shadow.writeBody(piece)
    if (this.#try?.isReady) {
      if (this.#retriesLeft > 0) this.#keep(piece)
      if (!this.#try.writeBody(piece)) stream.pauseRequest()
      return 'continue'
    }
    this.#keep(piece)
    stream.pauseRequest()
    return 'continue'
  }

  decodeEnd(_stream: HttpStream, trailers: HeaderMap | undefined): void {
    this.#requestEnded = true
    this.#trailers = trailers
    for (const shadow of this.#shadows ?? []) shadow.end(trailers)
    if (this.#try?.isReady) this.#try.end(trailers)
    this.#armOverall()
  }

  onDestroy(): void {
    this.#cancelTimers()
    this.#releaseRetry()
    this.#try?.cancel()
    this.#body = []
    if (!this.#requestEnded) for (const shadow of this.#shadows ?? []) shadow.cancel()
  }

  // ResponseSource

  pause(): void {
    this.#try?.pauseResponse()
  }

  resume(): void {
    this.#try?.resumeResponse()
  }

  // TryObserver

  onReady(): void {
    const request = this.#try!
    const { record } = this.#stream
    if (record.upstreamHost !== request.host) record.upstreamHost = request.host
    let hasRoom = true
    for (const piece of this.#body) hasRoom = request.writeBody(piece)
    if (this.#retriesLeft === 0) this.#forgetBody()
    if (this.#requestEnded) request.end(this.#trailers)
    else if (hasRoom) this.#stream.resumeRequest()
  }

  onResponseHead(head: ResponseHead): void {
    const { retryConditions } = this.#route
    if (this.#retriesLeft > 0 && retryConditions) {
      const outcome: TryOutcome = { kind: 'response', status: head.status, headers: head.headers }
      if (retryConditions.allow(outcome) && this.#retry()) return
    }
    try {
      this.#respond(head)
    } catch (error) {
      // A field that the route adds cannot be sent, such as one with a line break from a command.
      if (!(error instanceof HttpCodecError)) throw error
      this.#responding = false
      this.#cancelTimers()
      this.#dropTry()
      this.#stream.localReply(LOCAL_REPLIES.INVALID_HEADERS)
    }
  }

  onResponseBody(piece: Uint8Array): void {
    if (this.#responding) this.#stream.encodeData(piece)
  }

  onResponseEnd(trailers: HeaderMap | undefined): void {
    this.#try = undefined
    this.#cancelTimers()
    this.#releaseRetry()
    if (this.#responding) this.#stream.encodeEnd(trailers)
  }

  onRequestDrain(): void {
    this.#stream.resumeRequest()
  }

  onReset(reason: ResetReason, failure: string, requestSent: boolean): void {
    this.#try = undefined
    this.#cancelPerTry?.()
    const { record } = this.#stream
    record.upstreamFailure = oneLine(failure)
    if (this.#responding) return this.#cutResponse(reason)
    const outcome: TryOutcome = { kind: 'reset', reason, requestSent }
    if (this.#retriesLeft > 0 && this.#route.retryConditions?.allow(outcome) && this.#retry()) return
    this.#cancelTimers()
    const wasRetried = record.tries > 1
    if (wasRetried && this.#route.retryConditions?.allow(outcome)) record.flag('URX')
    this.#stream.localReply(resetReply(reason, wasRetried, failure))
  }

  #drawBackend(): CompiledBackend | undefined {
    const { backends, totalWeight } = this.#route
    if (totalWeight === 0) return undefined
    if (backends.length === 1) return backends[0]
    let rest = this.#stream.runtime.random.next() * totalWeight
    for (const backend of backends) {
      rest -= backend.weight
      if (rest < 0) return backend
    }
    return undefined
  }

  #allowsUpgrade(upgrade: string): boolean {
    const allowed = this.#forward.upgrades ?? ['websocket']
    return allowed.some((token) => token.toLowerCase() === upgrade.toLowerCase())
  }

  #start(cluster: Cluster, backend: CompiledBackend, endStream: boolean): void {
    const stream = this.#stream
    const { request, runtime } = stream
    this.#prepareHead(backend)
    const { overallMs, perTryMs } = timeoutsOf(this.#forward, request.headers)
    this.#overallMs = overallMs
    this.#perTryMs = perTryMs
    if (overallMs !== undefined) request.headers.set('x-envoy-expected-rq-timeout-ms', String(overallMs))
    const hashed = hashRequest(
      cluster.config.loadBalancing.hash,
      stream,
      () => hex8(runtime.random) + hex8(runtime.random),
    )
    this.#hash = hashed?.hash
    this.#setCookie = hashed?.setCookie
    stream.writeContinue()
    this.#startShadows(endStream)
    if (endStream) this.#armOverall()
    const { warming } = cluster
    if (warming) void warming.then(() => stream.destroyed || this.#startTry())
    else this.#startTry()
  }

  #prepareHead(backend: CompiledBackend): void {
    const { request, record } = this.#stream
    const { headers } = request
    const { rewrite } = this.#forward
    const upgrade = request.upgrade
    removeHopByHop(headers)
    headers.delete('expect')
    this.#route.requestHeaders?.apply(headers, record)
    backend.requestHeaders?.apply(headers, record)
    const authority = backend.requestHeaders?.authority ?? this.#route.requestHeaders?.authority ?? rewrite?.authority
    if (authority !== undefined) {
      request.authority = authority
      headers.set('host', authority)
    }
    if (this.#route.rewritePath) {
      headers.set('x-envoy-original-path', request.path)
      request.path = this.#route.rewritePath(request.path)
    }
    this.#head = {
      method: request.method,
      target: request.path,
      headers,
      framing: request.framing,
      contentLength: request.contentLength,
      upgrade,
    }
  }

  #startShadows(endStream: boolean): void {
    const { mirrors } = this.#forward
    if (!mirrors) return
    const { random } = this.#stream.runtime
    for (const { cluster, millionths } of mirrors) {
      if (millionths < 1_000_000 && random.integer(1_000_000) >= millionths) continue
      const shadow = Shadow.start(this.#stream, cluster, this.#head!)
      if (!shadow) continue
      this.#shadows ??= []
      this.#shadows.push(shadow)
      if (endStream) shadow.end(undefined)
    }
  }

  #startTry(): void {
    const stream = this.#stream
    const { runtime, record, peer } = stream
    const cluster = this.#cluster!
    const draw = { random: runtime.random, hash: this.#hash }
    const tried = this.#tried
    const host = tried
      ? hostForTry(cluster, draw, { peer, tried, retry: this.#forward.retry! })
      : cluster.pick(draw, peer)
    record.tries += 1
    if (!host) {
      this.#cancelTimers()
      record.upstreamHost = undefined
      return stream.localReply(LOCAL_REPLIES.NO_HEALTHY_UPSTREAM)
    }
    record.upstreamHost = host
    const request = new UpstreamRequest({
      cluster,
      clock: runtime.clock,
      host,
      peer,
      head: this.#head!,
      isHttp2: record.protocol === 'HTTP/2',
      observer: this,
    })
    this.#try = request
    if (this.#perTryMs !== undefined) {
      this.#cancelPerTry = runtime.clock.schedule(this.#perTryMs, () => this.#onPerTryTimeout())
    }
    request.start()
  }

  /** @returns whether there will be another try */
  #retry(): boolean {
    const retry = this.#forward.retry!
    const cluster = this.#cluster!
    if (this.#stream.responseStarted || this.#stream.destroyed) return false
    this.#releaseRetry()
    if (!cluster.breaker.acquire('retries')) {
      this.#stream.record.flag('UO')
      return false
    }
    this.#holdsRetry = true
    this.#retriesLeft -= 1
    this.#cancelPerTry?.()
    const failed = this.#try
    this.#try = undefined
    failed?.cancel()
    this.#tried ??= []
    const { upstreamHost, tries } = this.#stream.record
    if (upstreamHost) this.#tried.push(upstreamHost)
    const { clock, random } = this.#stream.runtime
    this.#cancelBackoff = clock.schedule(retryDelayMs(retry, tries, random), () => this.#startTry())
    return true
  }

  #respond(head: ResponseHead): void {
    const stream = this.#stream
    const { record, runtime } = stream
    this.#responding = true
    this.#cancelPerTry?.()
    this.#forgetBody()
    const nowMs = runtime.clock.monotonic()
    record.responseStartedMs = nowMs - record.startedMs
    record.upstreamServiceMs = nowMs - this.#try!.sentMs
    record.details = 'via_upstream'
    if (record.tries > 1 && this.#retriesLeft === 0) this.#flagExhausted(head)
    const { headers } = head
    const isUpgrade = head.status === 101
    // Declined: what was to be another protocol is a request without a body.
    if (stream.request.upgrade !== undefined && !isUpgrade) this.#try!.end(undefined)
    removeHopByHop(headers)
    headers.set('x-envoy-upstream-service-time', String(Math.round(record.upstreamServiceMs)))
    if (this.#setCookie !== undefined) headers.append('set-cookie', this.#setCookie)
    this.#backend!.responseHeaders?.apply(headers, record)
    this.#route.responseHeaders?.apply(headers, record)
    stream.responseSource = this
    const { status, framing, contentLength, upgrade } = head
    stream.encodeHeaders({ status, headers, framing, contentLength, upgrade }, false)
    if (!isUpgrade) return
    stream.switchProtocols()
    this.#try?.switchProtocols()
  }

  #flagExhausted(head: ResponseHead): void {
    const outcome: TryOutcome = { kind: 'response', status: head.status, headers: head.headers }
    if (this.#route.retryConditions?.allow(outcome)) this.#stream.record.flag('URX')
  }

  #cutResponse(reason: ResetReason): void {
    const { record } = this.#stream
    this.#cancelTimers()
    record.flag(reason === 'protocol error' ? 'UPE' : 'UC')
    record.details = `upstream_reset_after_response_started{${reason.replaceAll(' ', '_')}}`
    this.#stream.reset()
  }

  #armOverall(): void {
    if (this.#overallMs === undefined || this.#cancelOverall || this.#stream.responseComplete) return
    this.#cancelOverall = this.#stream.runtime.clock.schedule(this.#overallMs, () => this.#onOverallTimeout())
  }

  #onOverallTimeout(): void {
    this.#cancelTimers()
    if (this.#try && !this.#responding) this.#cluster!.record(this.#try.host, 'local-origin-timeout')
    this.#dropTry()
    this.#stream.localReply(LOCAL_REPLIES.RESPONSE_TIMEOUT)
  }

  #onPerTryTimeout(): void {
    const outcome: TryOutcome = { kind: 'per-try-timeout' }
    const cluster = this.#cluster!
    if (this.#try) cluster.record(this.#try.host, 'local-origin-timeout')
    if (this.#retriesLeft > 0 && this.#route.retryConditions?.allow(outcome) && this.#retry()) return
    this.#cancelTimers()
    this.#dropTry()
    if (this.#stream.record.tries > 1) this.#stream.record.flag('URX')
    this.#stream.localReply(LOCAL_REPLIES.PER_TRY_TIMEOUT)
  }

  #dropTry(): void {
    const dropped = this.#try
    this.#try = undefined
    dropped?.cancel()
  }

  #keep(piece: Uint8Array): void {
    this.#body.push(piece)
    this.#bodyBytes += piece.length
    if (this.#bodyBytes <= RETRY_BUFFER_BYTES_MAX) return
    // Too much to keep for another try: this one is the last (Envoy: request_payload_exceeded_retry_buffer_limit).
    this.#retriesLeft = 0
    if (this.#try?.isReady) this.#forgetBody()
  }

  #forgetBody(): void {
    this.#body = []
    this.#retriesLeft = this.#responding ? 0 : this.#retriesLeft
  }

  #releaseRetry(): void {
    if (!this.#holdsRetry) return
    this.#holdsRetry = false
    this.#cluster!.breaker.release('retries')
  }

  #cancelTimers(): void {
    this.#cancelOverall?.()
    this.#cancelPerTry?.()
    this.#cancelBackoff?.()
  }
}

/** What a peer or the system said must not look like a line of the log. */
function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ')
}
