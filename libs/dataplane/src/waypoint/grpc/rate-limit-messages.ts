import type { FilledEntry } from '../rate-limit-descriptors.ts'
import { type ProtoMessage, ProtoWriter } from './protobuf.ts'

export const SHOULD_RATE_LIMIT_PATH = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit'

const OVER_LIMIT = 2

/** `envoy.service.ratelimit.v3.RateLimitRequest`. */
export function encodeRateLimitRequest(domain: string, descriptors: readonly (readonly FilledEntry[])[]): Buffer {
  const writer = new ProtoWriter().string(1, domain)
  for (const entries of descriptors) {
    writer.message(2, (descriptor) => {
      for (const { key, value } of entries) descriptor.message(1, (entry) => entry.string(1, key).string(2, value))
    })
  }
  return writer.finish()
}

/** What the service says about a request. */
export interface RateLimitAnswer {
  readonly isOverLimit: boolean
  readonly responseHeaders: readonly (readonly [name: string, value: string])[]
  readonly requestHeaders: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

/** `envoy.service.ratelimit.v3.RateLimitResponse`. @throws CodedError PROTOBUF_MALFORMED */
export function decodeRateLimitResponse(message: ProtoMessage): RateLimitAnswer {
  return {
    isOverLimit: message.uint(1) === OVER_LIMIT,
    responseHeaders: headersOf(message.messages(3)),
    requestHeaders: headersOf(message.messages(4)),
    body: message.string(5),
  }
}

function headersOf(headers: readonly ProtoMessage[]): [string, string][] {
  return headers.map((header) => [header.string(1).toLowerCase(), header.string(2) || header.string(3)])
}
