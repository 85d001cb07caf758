import { evaluateCustom } from '@ambient-lab/policy'
import { type CancelTimer, CodedError } from '@ambient-lab/std'
import type { ExtAuthz } from '@ambient-lab/xds'
import { HeaderMap, type OutgoingRequest } from '../../http1/index.ts'
import { defineHttpFilter, type FilterStatus, type HeadStatus, type HttpFilter } from '../filter.ts'
import {
  CHECK_PATH,
  type CheckAnswer,
  type CheckedBody,
  decodeCheckResponse,
  encodeCheckRequest,
  PARTIAL_BODY_HEADER,
} from '../grpc/ext-authz-messages.ts'
import { GrpcCall } from '../grpc/grpc-call.ts'
import type { ProtoMessage } from '../grpc/protobuf.ts'
import type { HttpResponse, HttpStream } from '../http-stream.ts'
import { LOCAL_REPLIES } from '../local-replies.ts'
import { UpstreamCall, type UpstreamCallResult } from '../upstream/upstream-call.ts'

/** Asks somebody else about the requests that CUSTOM policies match: Envoy's ext_authz, over gRPC or HTTP. */
export default defineHttpFilter({
  name: 'ext-authz',
  phase: 'custom',
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
  #responseHeaders: (readonly [string, string])[] = []

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
    for (const [name, value] of this.#responseHeaders) headers.append(name, value)
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
    if (provider.protocol === 'grpc') return this.#askGrpc(stream, provider, others, body)
    const { clusters, clock, random } = stream.runtime
    const cluster = clusters.get(provider.cluster)
    if (!cluster) return this.#failed(stream, provider, others)
    const head = checkRequest(stream, provider, body)
    const onResult = (result: UpstreamCallResult | undefined) => {
      this.#cancelTimeout?.()
      this.#call = undefined
      if (!result || result.status >= 500) return this.#failed(stream, provider, others)
      if (result.status !== 200) return this.#denied(stream, provider, result)
      this.#allowed(stream, provider, result)
      this.#ask(stream, others)
    }
    const sent = body && { body: body.bytes }
    this.#call = new UpstreamCall({ cluster, clock, random, peer: stream.peer, head, onResult, ...sent })
    this.#cancelTimeout = clock.schedule(provider.timeoutMs, () => {
      this.#call?.cancel()
      this.#failed(stream, provider, others)
    })
    this.#call.start()
  }

  #bodyFor({ requestBody }: ExtAuthz): CheckedBody | undefined {
    if (!this.#body || !requestBody) return undefined
    const isPartial = this.#bodyBytes > requestBody.maxBytes
    return { bytes: Buffer.concat(this.#body).subarray(0, requestBody.maxBytes), isPartial }
  }

  #askGrpc(stream: HttpStream, provider: ExtAuthz, others: readonly string[], body: CheckedBody | undefined): void {
    const { cluster, authority, timeoutMs, requestBody } = provider
    this.#call = new GrpcCall({
      stream,
      cluster,
      authority,
      path: CHECK_PATH,
      message: encodeCheckRequest(stream, body, requestBody?.packAsBytes),
      timeoutMs,
      onAnswer: (message) => {
        this.#call = undefined
        const answer = message && decoded(message)
        if (!answer) return this.#failed(stream, provider, others)
        if (!answer.allowed) return this.#deniedByGrpc(stream, answer)
        const { headers } = stream.request
        for (const name of answer.headersToRemove) headers.delete(name)
        for (const { name, value, append } of answer.headers) {
          if (append) headers.append(name, value)
          else headers.set(name, value)
        }
        this.#responseHeaders.push(...answer.responseHeaders.map(({ name, value }) => [name, value] as const))
        this.#ask(stream, others)
      },
    })
  }

  #deniedByGrpc(stream: HttpStream, { status, body, headers }: CheckAnswer): void {
    const contentType = headers.find(({ name }) => name === 'content-type')?.value
    stream.localReply(LOCAL_REPLIES.EXT_AUTHZ_DENIED, {
      status,
      body,
      headers: headers
        .filter(({ name }) => name !== 'content-length' && name !== 'content-type')
        .map(({ name, value }) => [name, value] as const),
      ...(contentType !== undefined && { contentType }),
    })
  }

  #failed(stream: HttpStream, provider: ExtAuthz | undefined, others: readonly string[]): void {
    if (provider?.failOpen) return this.#ask(stream, others)
    const status = provider?.statusOnError
    stream.localReply(LOCAL_REPLIES.EXT_AUTHZ_ERROR, status === undefined ? {} : { status })
  }

  #denied(stream: HttpStream, { http }: ExtAuthz, { status, headers, body }: UpstreamCallResult): void {
    const shown = [...headers].filter(([name]) => matchesName(http?.downstreamOnDeny ?? [], name))
    stream.localReply(LOCAL_REPLIES.EXT_AUTHZ_DENIED, {
      status,
      body: body.toString('utf8'),
      headers: shown.filter(([name]) => name !== 'content-length' && name !== 'content-type'),
      contentType: headers.get('content-type') ?? 'text/plain',
    })
  }

  #allowed(stream: HttpStream, { http }: ExtAuthz, { headers }: UpstreamCallResult): void {
    for (const [name, value] of headers) {
      if (matchesName(http?.upstreamOnAllow ?? [], name)) stream.request.headers.set(name, value)
      if (matchesName(http?.downstreamOnAllow ?? [], name)) this.#responseHeaders.push([name, value])
    }
  }
}

function decoded(message: ProtoMessage): CheckAnswer | undefined {
  try {
    return decodeCheckResponse(message)
  } catch (error) {
    if (!CodedError.is(error, 'PROTOBUF_MALFORMED')) throw error
    return undefined
  }
}

/** The request about the request: its method and path, with the headers and the body that the provider wants to see. */
function checkRequest(
  { request }: HttpStream,
  { http, authority }: ExtAuthz,
  body: CheckedBody | undefined,
): OutgoingRequest {
  const headers = new HeaderMap([['host', request.authority || authority]])
  for (const [name, value] of request.headers) {
    if (name === 'authorization' || matchesName(http?.requestHeaders ?? [], name)) headers.append(name, value)
  }
  for (const { name, value } of http?.additionalHeaders ?? []) headers.set(name, value)
  const target = `${http?.pathPrefix ?? ''}${request.path}`
  if (!body) return { method: request.method, target, headers, framing: 'none', contentLength: 0 }
  headers.set(PARTIAL_BODY_HEADER, String(body.isPartial))
  return { method: request.method, target, headers, framing: 'length', contentLength: body.bytes.length }
}

/** Exact, or with a `*` at its beginning or end. */
export function matchesName(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => {
    if (pattern === '*') return true
    if (pattern.endsWith('*')) return name.startsWith(pattern.slice(0, -1))
    if (pattern.startsWith('*')) return name.endsWith(pattern.slice(1))
    return name === pattern
  })
}
