import type { CorsPolicy } from '@ambient-lab/xds'
import { defineHttpFilter, type FilterStatus, type HttpFilter } from '../filter.ts'
import type { HttpResponse, HttpStream } from '../http-stream.ts'
import { LOCAL_REPLIES } from '../local-replies.ts'
import { compileStringMatcher, type TextMatch } from '../router/matchers.ts'

/** Answers preflights, and tells browsers which origins may read a response. */
export default defineHttpFilter({
  name: 'cors',
  phase: 'route',
  create({ route, compilePattern }) {
    const policy = route?.filters?.cors
    if (!policy) return undefined
    const origins = policy.allowOrigins.map((matcher) => compileStringMatcher(matcher, compilePattern))
    const isAnyOrigin = policy.allowOrigins.some((matcher) => 'exact' in matcher && matcher.exact === '*')
    return (stream) => {
      const origin = stream.request.headers.get('origin')
      return origin === undefined ? undefined : new Cors(policy, origin, isAnyOrigin || isAllowed(origins, origin))
    }
  },
})

function isAllowed(origins: readonly TextMatch[], origin: string): boolean {
  return origins.some((matches) => matches(origin))
}

/** @see https://fetch.spec.whatwg.org/#http-cors-protocol */
class Cors implements HttpFilter {
  readonly #policy: CorsPolicy
  readonly #origin: string
  readonly #isAllowed: boolean
  #isPreflight = false

  constructor(policy: CorsPolicy, origin: string, isOriginAllowed: boolean) {
    this.#policy = policy
    this.#origin = origin
    this.#isAllowed = isOriginAllowed
  }

  decodeHeaders(stream: HttpStream): FilterStatus {
    const { method, headers } = stream.request
    if (method !== 'OPTIONS' || !headers.has('access-control-request-method')) return 'continue'
    if (!this.#isAllowed && this.#policy.forwardUnmatchedPreflights) return 'continue'
    this.#isPreflight = true
    stream.localReply(LOCAL_REPLIES.CORS_PREFLIGHT, { headers: this.#isAllowed ? this.#preflightHeaders() : [] })
    return 'stop'
  }

  encodeHeaders(_stream: HttpStream, { headers }: HttpResponse): FilterStatus {
    if (this.#isPreflight || !this.#isAllowed) return 'continue'
    const { allowCredentials, exposeHeaders } = this.#policy
    headers.set('access-control-allow-origin', this.#origin)
    if (allowCredentials) headers.set('access-control-allow-credentials', 'true')
    if (exposeHeaders.length > 0) headers.set('access-control-expose-headers', exposeHeaders.join(','))
    return 'continue'
  }

  #preflightHeaders(): [string, string][] {
    const { allowMethods, allowHeaders, maxAgeSeconds, allowCredentials } = this.#policy
    const headers: [string, string][] = [['access-control-allow-origin', this.#origin]]
    if (allowCredentials) headers.push(['access-control-allow-credentials', 'true'])
    if (allowMethods.length > 0) headers.push(['access-control-allow-methods', allowMethods.join(',')])
    if (allowHeaders.length > 0) headers.push(['access-control-allow-headers', allowHeaders.join(',')])
    if (maxAgeSeconds !== undefined) headers.push(['access-control-max-age', String(maxAgeSeconds)])
    return headers
  }
}
