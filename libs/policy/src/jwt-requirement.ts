import type { JwkSetLocation } from '@ambient-lab/pki'
import type { JwtPayload } from './request-facts.ts'

/** Where a token may be in a request. None at all: `authorization: Bearer …`, then the query parameter `access_token`. */
export interface JwtLocations {
  /** The token follows the prefix, wherever that is in the value; an empty prefix: the whole value. */
  readonly headers: readonly { readonly name: string; readonly prefix: string }[]
  /** Query parameters. */
  readonly params: readonly string[]
  readonly cookies: readonly string[]
}

/** One issuer whose tokens are accepted: a rule of a RequestAuthentication as a waypoint enforces it. */
export interface JwtProvider {
  /** Unique in its requirement, and Envoy's: `origins-0`. */
  readonly name: string
  readonly issuer: string
  /** One of them has to be among the token's; none: any will do. */
  readonly audiences: readonly string[]
  readonly keys: JwkSetLocation
  /** Of one fetch of the keys. */
  readonly keysTimeoutMs: number
  readonly from: JwtLocations
  /** Whether the backend gets the token too. */
  readonly forwardOriginalToken: boolean
  /** Gets the payload as it is in the token, base64url. */
  readonly outputPayloadToHeader?: string
  /** A claim is named by its path, with dots; a list or an object is not written. */
  readonly outputClaimToHeaders: readonly { readonly header: string; readonly claim: string }[]
  /** Claims whose text `a b` is the list `[a, b]` to policies; `scope` and `permission` always are. */
  readonly spaceDelimitedClaims: readonly string[]
}

/** All issuers at one place. A request without a token passes; a token that nobody accepts is refused. */
export interface JwtRequirement {
  readonly providers: readonly JwtProvider[]
}

/** What became of a request's token, before policy looks at it. */
export type JwtVerdict = JwtAccepted | JwtRefused

export interface JwtAccepted {
  readonly accepted: true
  /** What policies may ask about, lists made of space-delimited claims; undefined when there was no token. */
  readonly payload: JwtPayload | undefined
  /** Header lines that the backend must not get from the client. */
  readonly removeHeaders: readonly string[]
  /** To be set after those were removed, in order. */
  readonly addHeaders: readonly (readonly [name: string, value: string])[]
  /** Query parameters that held the token, to be taken out of the path. */
  readonly removeParams: readonly string[]
}

/** A local reply. */
export interface JwtRefused {
  readonly accepted: false
  readonly status: 401 | 403
  /** Envoy's words, such as `Jwt is expired`. */
  readonly body: string
  /** Envoy's `response_code_details`: `jwt_authn_access_denied{Jwt_is_expired}`. */
  readonly details: string
  /** Value of the header `www-authenticate`. */
  readonly wwwAuthenticate: string
}
