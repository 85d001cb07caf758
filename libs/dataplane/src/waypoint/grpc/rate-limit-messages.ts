import type { FilledEntry } from '../rate-limit-descriptors.ts'
import { headerValueOf, textOfValue } from './header-value.ts'
import { type ProtoMessage, ProtoWriter } from './protobuf.ts'

export const SHOULD_RATE_LIMIT_PATH = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit'

const OVER_LIMIT = 2

/** `envoy.service.ratelimit.v3.RateLimitRequest`. */
export function encodeRateLimitRequest(domain: string, descriptors: readonly (readonly FilledEntry[])[]): Buffer {
  const writer = new ProtoWriter().string(1, domain)
  for (const entries of descriptors) {
    writer.message(2, (descriptor) => {
      for (const { key, value } of entries)
        descriptor.message(1, (entry) => entry.string(1, key).string(2, textOfValue(value)))
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
  /** What is left of each limit that a descriptor met. */
  readonly windows: readonly RateLimitWindow[]
}

export interface RateLimitWindow {
  readonly limit: number
  readonly windowSeconds: number
  readonly remaining: number
  readonly resetSeconds: number
}

/** `RateLimitResponse.RateLimit.Unit`, from SECOND, which is 1. */
const UNIT_SECONDS: Readonly<Record<number, number>> = {
  1: 1,
  2: 60,
  3: 3_600,
  4: 86_400,
  5: 30 * 86_400,
  6: 365 * 86_400,
  7: 7 * 86_400,
}

/** `envoy.service.ratelimit.v3.RateLimitResponse`. @throws CodedError PROTOBUF_MALFORMED */
export function decodeRateLimitResponse(message: ProtoMessage): RateLimitAnswer {
  return {
    isOverLimit: message.uint(1) === OVER_LIMIT,
    responseHeaders: headersOf(message.messages(3)),
    requestHeaders: headersOf(message.messages(4)),
    body: message.string(5),
    windows: message.messages(2).flatMap((status) => {
      const limit = status.message(2)
      if (!limit) return []
      return {
        limit: limit.uint(1),
        windowSeconds: UNIT_SECONDS[limit.uint(2)] ?? 0,
        remaining: status.uint(3),
        resetSeconds: status.message(4)?.uint(1) ?? 0,
      }
    }),
  }
}

/**
 * The three fields of draft-polli-ratelimit-headers-03: of the window that will be used up first, with all of them as
 * the policy.
 */
export function rateLimitHeaders(windows: readonly RateLimitWindow[]): readonly (readonly [string, string])[] {
  const [first, ...others] = windows
  if (!first) return []
  const tightest = others.reduce((a, b) => (b.remaining < a.remaining ? b : a), first)
  const policy = windows.map(({ limit, windowSeconds }) => `${limit};w=${windowSeconds}`).join(', ')
  return [
    ['x-ratelimit-limit', `${tightest.limit}, ${policy}`],
    ['x-ratelimit-remaining', String(tightest.remaining)],
    ['x-ratelimit-reset', String(tightest.resetSeconds)],
  ]
}

function headersOf(headers: readonly ProtoMessage[]): (readonly [string, string])[] {
  return headers.map(headerValueOf)
}
