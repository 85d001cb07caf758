import type { JwtAuthenticator, JwtVerdict } from '@ambient-lab/policy'
import { defineHttpFilter, type FilterStatus, type HttpFilter } from '../filter.ts'
import { applyToken } from '../header-change.ts'
import type { HttpStream } from '../http-stream.ts'
import { LOCAL_REPLIES } from '../local-replies.ts'
import { withoutQueryParameters } from '../router/query.ts'

/** Looks at tokens: who has a bad one is refused, who has a good one is known to policies by its claims. */
export default defineHttpFilter({
  name: 'jwt-authn',
  phase: 'authn',
  create({ guard }) {
    const { authenticator } = guard
    return authenticator && (() => new JwtAuthn(authenticator))
  },
})

class JwtAuthn implements HttpFilter {
  readonly #authenticator: JwtAuthenticator

  constructor(authenticator: JwtAuthenticator) {
    this.#authenticator = authenticator
  }

  decodeHeaders(stream: HttpStream): FilterStatus {
    const nowSeconds = stream.runtime.clock.now() / 1000
    const verdict = this.#authenticator.authenticate(stream.view, nowSeconds)
    if (!(verdict instanceof Promise)) return this.#take(stream, verdict)
    void verdict.then((late) => {
      if (!stream.destroyed && this.#take(stream, late) === 'continue') stream.continueDecoding()
    })
    return 'stop'
  }

  #take(stream: HttpStream, verdict: JwtVerdict): FilterStatus {
    if (!verdict.accepted) {
      const { status, body, details, wwwAuthenticate } = verdict
      const headers = [['www-authenticate', wwwAuthenticate]] as const
      stream.localReply(LOCAL_REPLIES.JWT_DENIED, { status, body, details, headers })
      return 'stop'
    }
    const { request } = stream
    stream.tokenChange = applyToken(request.headers, verdict)
    if (verdict.removeParams.length > 0) request.path = withoutQueryParameters(request.path, verdict.removeParams)
    stream.jwt = verdict.payload
    return 'continue'
  }
}
