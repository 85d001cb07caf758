import { evaluateCustom } from '@ambient-lab/policy'
import type { CancelTimer } from '@ambient-lab/std'
import type { ExtAuthz } from '@ambient-lab/xds'
import { HttpCodecError } from '../../http1/index.ts'
import { applyHeader, applyToRequest, type CheckAnswer, checkHeaders, type HeaderOption } from '../check-answer.ts'
import { defineHttpFilter, type FilterStatus, type HeadStatus, type HttpFilter } from '../filter.ts'
import { CHECK_PATH, type CheckedBody, encodeCheckRequest, readCheckResponse } from '../grpc/ext-authz-messages.ts'
import { GrpcCall } from '../grpc/grpc-call.ts'
import { httpCheckAnswer, httpCheckRequest } from '../http-check.ts'
import type { HttpResponse, HttpStream } from '../http-stream.ts'
import { LOCAL_REPLIES } from '../local-replies.ts'
import { UpstreamCall } from '../upstream/upstream-call.ts'

const PLACE = { name: 'ext-authz', phase: 'custom' } as const

/** Asks somebody else about the requests that CUSTOM policies match: Envoy's ext_authz, over gRPC or HTTP. */
export default defineHttpFilter({
  ...PLACE,
  create({ guard }) {
    const { policies, extAuthz } = guard
    if (!policies || policies.custom.length === 0) return undefined
    return () => new ExternalAuthorization(guard.policies!, extAuthz)
  },
})

type Policies = Parameters<typeof evaluateCustom>[1]

class ExternalAuthorization implements HttpFilter {
  readonly #policies: Policies
  readonly #providers: ReadonlyMap<string, ExtAuthz>
  #call: UpstreamCall | GrpcCall | undefined
  #cancelTimeout: CancelTimer | undefined
  /** Who is asked once the body is there. */
  #waiting: readonly string[] | undefined
  #body: Uint8Array[] | undefined
  #bodyBytes = 0
  /** No provider wants more. */
  #bodyBytesMax = 0
  /** What the authorizer wants the client to see besides the response. */
  #responseHeaders: HeaderOption[] = []

  constructor(policies: Policies, providers: ReadonlyMap<string, ExtAuthz>) {
    this.#policies = policies
    this.#providers = providers
  }

  decodeHeaders(stream: HttpStream, endStream: boolean): HeadStatus {
    const verdict = evaluateCustom(stream.facts, this.#policies)
    if (!verdict) return 'continue'
    if ('allowed' in verdict) {
      stream.localReply(LOCAL_REPLIES.RBAC_DENIED, { details: verdict.details })
      return 'stop'
    }
    this.#bodyBytesMax = Math.max(
      0,
      ...verdict.ask.map((name) => this.#providers.get(name)?.requestBody?.maxBytes ?? 0),
    )
    if (this.#bodyBytesMax > 0 && !endStream && stream.request.upgrade === undefined) {
      this.#waiting = verdict.ask
      this.#body = []
      return 'buffer'
    }
    this.#ask(stream, verdict.ask)
    return 'stop'
  }

  decodeData(stream: HttpStream, piece: Uint8Array): FilterStatus {
    if (!this.#waiting) return 'continue'
    this.#body!.push(piece)
    this.#bodyBytes += piece.length
    if (this.#bodyBytes <= this.#bodyBytesMax) return 'continue'
    this.#askWaiting(stream)
    return 'stop'
  }

  decodeEnd(stream: HttpStream): void {
    this.#askWaiting(stream)
  }

  encodeHeaders(_stream: HttpStream, { headers }: HttpResponse): FilterStatus {
    for (const option of this.#responseHeaders) applyHeader(headers, option)
    return 'continue'
  }

  onDestroy(): void {
    this.#cancelTimeout?.()
    this.#call?.cancel()
  }

  #askWaiting(stream: HttpStream): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting) this.#ask(stream, waiting)
  }

  /** One after the other; the first that says no, or cannot be asked, ends it. */
  #ask(stream: HttpStream, [name, ...others]: readonly string[]): void {
    if (name === undefined) return stream.continueDecoding()
    const provider = this.#providers.get(name)
    if (!provider) return this.#failed(stream, provider, others)
    const { requestBody } = provider
    if (this.#body && requestBody && !requestBody.allowPartial && this.#bodyBytes > requestBody.maxBytes)
      return stream.localReply(LOCAL_REPLIES.PAYLOAD_TOO_LARGE)
    const body = this.#bodyFor(provider)
    const onAnswer = (answer: CheckAnswer | undefined) => {
      if (stream.destroyed) return
      this.#cancelTimeout?.()
      this.#call = undefined
      if (!answer) return this.#failed(stream, provider, others)
      this.#answered(stream, provider, answer, others)
    }
    if (provider.protocol === 'grpc') this.#askGrpc(stream, provider, body, onAnswer)
    else this.#askHttp(stream, provider, body, onAnswer)
  }

  #bodyFor({ requestBody }: ExtAuthz): CheckedBody | undefined {
    if (!this.#body || !requestBody) return undefined
    const isPartial = this.#bodyBytes > requestBody.maxBytes
    return { bytes: Buffer.concat(this.#body).subarray(0, requestBody.maxBytes), isPartial }
  }

  #askGrpc(stream: HttpStream, provider: ExtAuthz, body: CheckedBody | undefined, onAnswer: OnAnswer): void {
    const { cluster, authority, timeoutMs, requestBody } = provider
    const message = encodeCheckRequest(stream, body, requestBody?.packAsBytes)
    this.#call = new GrpcCall({
      ...{ runtime: stream.runtime, peer: stream.peer, cluster, authority, path: CHECK_PATH, message, timeoutMs },
      onAnswer: (answer) => onAnswer(answer && readCheckResponse(answer)),
    })
  }

  #askHttp(stream: HttpStream, provider: ExtAuthz, body: CheckedBody | undefined, onAnswer: OnAnswer): void {
    const { clusters, clock, random } = stream.runtime
    const cluster = clusters.get(provider.cluster)
    // Not at once: the head is not held yet.
    if (!cluster) return queueMicrotask(() => onAnswer(undefined))
    const call = new UpstreamCall({
      ...{ cluster, clock, random, peer: stream.peer },
      head: httpCheckRequest(stream, provider, body),
      onResult: (result) =>
        onAnswer(result && result.status < 500 ? httpCheckAnswer(result, provider.http) : undefined),
      ...(body && { body: body.bytes }),
    })
    this.#call = call
    this.#cancelTimeout = clock.schedule(provider.timeoutMs, () => {
      call.cancel()
      onAnswer(undefined)
    })
    call.start()
  }

  /** An answer may want what cannot be sent: then it is no answer to go by (Envoy: `validate_mutations`). */
  #answered(stream: HttpStream, provider: ExtAuthz, answer: CheckAnswer, others: readonly string[]): void {
    try {
      if (!answer.allowed) return denied(stream, answer)
      checkHeaders(answer.responseHeaders)
      if (applyToRequest(stream, answer) && provider.clearRouteCache) stream.rematchRoute(PLACE)
      this.#responseHeaders.push(...answer.responseHeaders)
    } catch (error) {
      if (!(error instanceof HttpCodecError)) throw error
      return stream.localReply(LOCAL_REPLIES.EXT_AUTHZ_INVALID)
    }
    this.#ask(stream, others)
  }

  #failed(stream: HttpStream, provider: ExtAuthz | undefined, others: readonly string[]): void {
    if (provider?.failOpen) return this.#ask(stream, others)
    const status = provider?.statusOnError
    stream.localReply(LOCAL_REPLIES.EXT_AUTHZ_ERROR, status === undefined ? {} : { status })
  }
}

type OnAnswer = (answer: CheckAnswer | undefined) => void

/** @throws HttpCodecError NOT_ENCODABLE */
function denied(stream: HttpStream, { status, body, headers }: CheckAnswer): void {
  if (status < 200 || status > 599) return stream.localReply(LOCAL_REPLIES.EXT_AUTHZ_INVALID)
  const contentType = headers.findLast(({ name }) => name === 'content-type')?.value
  stream.localReply(LOCAL_REPLIES.EXT_AUTHZ_DENIED, {
    status,
    body,
    headers: headers
      .filter(({ name }) => !OF_THE_REPLY.includes(name) && !name.startsWith(':'))
      .map(({ name, value }) => [name, value] as const),
    ...(contentType !== undefined && { contentType }),
  })
}

/** What a reply writes by itself. */
const OF_THE_REPLY = ['content-length', 'transfer-encoding', 'content-type']
