import type { JwtAccepted, JwtPayload, TokenRequest } from '@ambient-lab/policy'
import type { ReviewedRequest } from '@ambient-lab/xds'
import { HeaderMap } from '../http1/index.ts'
import { applyToken } from '../waypoint/header-change.ts'
import type { RequestHead } from '../waypoint/kept-request.ts'
import { withoutQueryParameters } from '../waypoint/router/query.ts'

/** A request that nobody sends now, as filters and routes ask about one. */
export class ReviewRequest implements TokenRequest {
  readonly method: string
  readonly authority: string
  readonly path: string
  readonly scheme: string
  readonly headers: HeaderMap
  readonly jwt: JwtPayload | undefined

  constructor({ method, authority, path, scheme, headers }: RequestHead, jwt?: JwtPayload) {
    this.method = method
    this.authority = authority
    this.path = path
    this.scheme = scheme
    this.headers = headers
    this.jwt = jwt
  }

  static of({ headers, ...head }: ReviewedRequest): ReviewRequest {
    const lines = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const)
    return new ReviewRequest({ ...head, scheme: 'http', headers: new HeaderMap(lines) })
  }

  /** For people. */
  get line(): string {
    return `${this.method} ${this.path}`
  }

  get token(): string {
    return this.headers.has('authorization') ? 'a token' : 'no token'
  }

  header(name: string): string | undefined {
    return this.headers.getJoined(name)
  }

  /** As policies meet it behind jwt-authn. */
  accepted(verdict: JwtAccepted): ReviewRequest {
    const headers = this.headers.clone()
    applyToken(headers, verdict)
    const path = withoutQueryParameters(this.path, verdict.removeParams)
    const { method, authority, scheme } = this
    return new ReviewRequest({ method, authority, path, scheme, headers }, verdict.payload)
  }
}
