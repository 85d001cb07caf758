import { CodedError } from '@ambient-lab/std'
import type { RateLimitService } from '@ambient-lab/xds'
import { HeaderMap, HttpCodecError } from '../../http1/index.ts'
import { defineHttpFilter, type FilterStatus, type HttpFilter } from '../filter.ts'
import { GrpcCall } from '../grpc/grpc-call.ts'
import type { ProtoMessage } from '../grpc/protobuf.ts'
import {
  decodeRateLimitResponse,
  encodeRateLimitRequest,
  type RateLimitAnswer,
  rateLimitHeaders,
  SHOULD_RATE_LIMIT_PATH,
} from '../grpc/rate-limit-messages.ts'
import type { HttpResponse, HttpStream } from '../http-stream.ts'
import { LOCAL_REPLIES } from '../local-replies.ts'
import { compileDescriptor, type DescriptorOf } from '../rate-limit-descriptors.ts'

/** Asks Envoy's rate limit service about requests whose route makes descriptors. */
export default defineHttpFilter({
  name: 'rate-limit',
  phase: 'limit',
  create({ route, guard, compilePattern }) {
    const actions = route?.filters?.['rate-limit']
    const service = guard.rateLimitService
    if (!actions || !service) return undefined
    const makers = actions.rateLimits.map((limit) => compileDescriptor(limit.actions, compilePattern))
    return () => new GlobalRateLimit(service, makers)
  },
})

class GlobalRateLimit implements HttpFilter {
  readonly #service: RateLimitService
  readonly #makers: readonly DescriptorOf[]
  #call: GrpcCall | undefined
  #responseHeaders: RateLimitAnswer['responseHeaders'] = []

  constructor(service: RateLimitService, makers: readonly DescriptorOf[]) {
    this.#service = service
    this.#makers = makers
  }

  decodeHeaders(stream: HttpStream): FilterStatus {
    const descriptors = this.#makers.flatMap((make) => {
      const entries = make(stream)
      return entries && entries.length > 0 ? [entries] : []
    })
    if (descriptors.length === 0) return 'continue'
    const { cluster, authority, domain, timeoutMs } = this.#service
    this.#call = new GrpcCall({
      runtime: stream.runtime,
      peer: stream.peer,
      cluster,
      authority,
      path: SHOULD_RATE_LIMIT_PATH,
      message: encodeRateLimitRequest(domain, descriptors),
      timeoutMs,
      onAnswer: (answer) => this.#take(stream, answer && decoded(answer)),
    })
    return 'stop'
  }

  encodeHeaders(_stream: HttpStream, { headers }: HttpResponse): FilterStatus {
    for (const [name, value] of this.#responseHeaders) headers.append(name, value)
    return 'continue'
  }

  onDestroy(): void {
    this.#call?.cancel()
  }

  #take(stream: HttpStream, answer: RateLimitAnswer | undefined): void {
    this.#call = undefined
    if (!answer) {
      if (this.#service.failureModeDeny) stream.localReply(LOCAL_REPLIES.RATE_LIMITER_ERROR)
      else stream.continueDecoding()
      return
    }
    const { rateLimitHeaders: isShown } = this.#service
    this.#responseHeaders = [...answer.responseHeaders, ...(isShown ? rateLimitHeaders(answer.windows) : [])]
    if (answer.isOverLimit) {
      const headers = [['x-envoy-ratelimited', 'true']] as const
      return stream.localReply(LOCAL_REPLIES.RATE_LIMITED, { headers, body: answer.body })
    }
    for (const [name, value] of answer.requestHeaders) stream.request.headers.append(name, value)
    stream.continueDecoding()
  }
}

/** What cannot be read, or sent on, is no answer. */
function decoded(message: ProtoMessage): RateLimitAnswer | undefined {
  try {
    const answer = decodeRateLimitResponse(message)
    // Throws for a header that a request or a response cannot have.
    new HeaderMap([...answer.requestHeaders, ...answer.responseHeaders])
    return answer
  } catch (error) {
    if (error instanceof HttpCodecError || CodedError.is(error, 'PROTOBUF_MALFORMED')) return undefined
    throw error
  }
}
