import {
  checkValidity,
  JWT_CLOCK_SKEW_SECONDS,
  JWT_FAILURES,
  type JwkSetLocation,
  type JwkSetResult,
  type Jwt,
  type JwtFailure,
  type KnownToken,
  VERIFIED_TOKENS_MAX,
  VerifiedTokens,
} from '@ambient-lab/pki'
import { type FoundToken, type TokenFinder, tokenFinder } from './jwt-locations.ts'
import { checkJwtProvider } from './jwt-provider-checks.ts'
import type { JwtAccepted, JwtProvider, JwtRefused, JwtRequirement, JwtVerdict } from './jwt-requirement.ts'
import type { JwtPayload, RequestView } from './request-facts.ts'
import { valueAt } from './values.ts'

/** How much of the path a refusal repeats, as Envoy. */
const REALM_PATH_MAX = 256

/** Claims whose text is always taken for a list. */
const SPACE_DELIMITED = ['scope', 'permission']

export interface JwtAuthenticatorComponents {
  /** At once when the keys are at hand; never rejects. */
  readonly keysAt: (location: JwkSetLocation, timeoutMs: number) => JwkSetResult | Promise<JwkSetResult>
}

/** A request whose token is to be looked at. */
export interface TokenRequest extends RequestView {
  /** `http` or `https`, for the refusal. */
  readonly scheme: string
}

/** What one provider says: nothing, since there is no token of it; what was verified; or what is wrong. */
type ProviderResult = undefined | readonly VerifiedToken[] | JwtFailure

interface VerifiedToken {
  readonly jwt: Jwt
  readonly found: FoundToken
}

interface CompiledProvider {
  readonly provider: JwtProvider
  readonly findTokens: TokenFinder
  readonly audiences: ReadonlySet<string>
}

/**
 * Decides about the tokens of requests at one place: what Envoy's jwt_authn does with the configuration that istiod makes
 * of RequestAuthentications. Answers at once unless keys have to be fetched.
 */
export class JwtAuthenticator {
  readonly #providers: readonly CompiledProvider[]
  readonly #components: JwtAuthenticatorComponents
  readonly #tokens = new VerifiedTokens(VERIFIED_TOKENS_MAX)
  /** Header lines that only a token may fill. */
  readonly #outputHeaders: readonly string[]
  readonly #withoutToken: JwtAccepted

  /** @throws CodedError INVALID_POLICY for a provider that has not the documented shape */
  constructor(requirement: JwtRequirement, components: JwtAuthenticatorComponents) {
    this.#providers = requirement.providers.map(checkJwtProvider).map((provider) => ({
      provider,
      findTokens: tokenFinder(provider),
      audiences: new Set(provider.audiences.map(withoutSchemeAndSlash)),
    }))
    this.#components = components
    this.#outputHeaders = [...new Set(requirement.providers.flatMap(outputHeaders))]
    this.#withoutToken = { ...BYPASS, removeHeaders: this.#outputHeaders }
  }

  /**
   * A token that any provider accepts is accepted; without a token the request passes; a token that none accepts is
   * refused, with the reason of the provider that knows its issuer.
   */
  authenticate(request: TokenRequest, nowSeconds: number): JwtVerdict | Promise<JwtVerdict> {
    if (isPreflight(request)) return BYPASS
    return this.#askFrom(0, undefined, request, nowSeconds)
  }

  #askFrom(
    first: number,
    failure: JwtFailure | undefined,
    request: TokenRequest,
    nowSeconds: number,
  ): JwtVerdict | Promise<JwtVerdict> {
    let worst = failure
    for (let index = first; index < this.#providers.length; index += 1) {
      const provider = this.#providers[index]!
      const result = this.#ask(provider, request, nowSeconds)
      if (result instanceof Promise) {
        return result.then((answer) =>
          Array.isArray(answer)
            ? this.#accept(provider.provider, answer)
            : this.#askFrom(index + 1, moreTelling(worst, answer as JwtFailure | undefined), request, nowSeconds),
        )
      }
      if (Array.isArray(result)) return this.#accept(provider.provider, result)
      worst = moreTelling(worst, result as JwtFailure | undefined)
    }
    return worst === undefined ? this.#withoutToken : refuse(worst, request)
  }

  /** All tokens where the provider looks have to be valid: else the backend might take the wrong one of them. */
  #ask(
    provider: CompiledProvider,
    request: TokenRequest,
    nowSeconds: number,
  ): ProviderResult | Promise<ProviderResult> {
    const found = provider.findTokens(request)
    if (found.length === 0) return undefined
    const tokens: KnownToken[] = []
    for (const { text } of found) {
      const token = this.#tokens.parse(text)
      if (typeof token === 'string') return token
      const failure = this.#checkClaims(token, provider, nowSeconds)
      if (failure) return failure
      tokens.push(token)
    }
    const keys = this.#components.keysAt(provider.provider.keys, provider.provider.keysTimeoutMs)
    if (keys instanceof Promise) return keys.then((answer) => this.#verify(tokens, found, answer))
    return this.#verify(tokens, found, keys)
  }

  #checkClaims(
    token: KnownToken,
    { provider, audiences }: CompiledProvider,
    nowSeconds: number,
  ): JwtFailure | undefined {
    const { jwt } = token
    if (jwt.issuer !== provider.issuer) return 'JwtUnknownIssuer'
    const invalid = checkValidity(jwt, nowSeconds, JWT_CLOCK_SKEW_SECONDS)
    if (invalid === 'JwtExpired') this.#tokens.forget(token)
    if (invalid) return invalid
    if (audiences.size === 0) return undefined
    const isMeant = jwt.audiences.some((audience) => audiences.has(withoutSchemeAndSlash(audience)))
    return isMeant ? undefined : 'JwtAudienceNotAllowed'
  }

  #verify(tokens: readonly KnownToken[], found: readonly FoundToken[], keys: JwkSetResult): ProviderResult {
    if (typeof keys === 'string') return keys
    for (const token of tokens) {
      const failure = this.#tokens.verify(token, keys)
      if (failure) return failure
    }
    return tokens.map(({ jwt }, index) => ({ jwt, found: found[index]! }))
  }

  #accept(provider: JwtProvider, tokens: readonly VerifiedToken[]): JwtAccepted {
    const removeHeaders = [...this.#outputHeaders]
    const addHeaders: (readonly [string, string])[] = []
    const removeParams: string[] = []
    for (const { jwt, found } of tokens) {
      addHeaders.push(...outputOf(provider, jwt))
      if (provider.forwardOriginalToken) continue
      if (found.header !== undefined) removeHeaders.push(found.header)
      if (found.param !== undefined) removeParams.push(found.param)
    }
    // Of several tokens the one that was verified last counts, as at Envoy.
    const payload = withLists(tokens.at(-1)!.jwt.payload, provider.spaceDelimitedClaims)
    return { accepted: true, payload, removeHeaders, addHeaders, removeParams }
  }
}

const BYPASS: JwtAccepted = {
  accepted: true,
  payload: undefined,
  removeHeaders: [],
  addHeaders: [],
  removeParams: [],
}

/** What a refusal says in the end: of a provider that the token is not of, nothing, unless all say so. */
function moreTelling(before: JwtFailure | undefined, after: JwtFailure | undefined): JwtFailure | undefined {
  if (after === undefined) return before
  return after === 'JwtUnknownIssuer' ? (before ?? after) : after
}

/** A browser's question whether it may ask carries no token. @see https://fetch.spec.whatwg.org/#cors-preflight-request */
function isPreflight(request: TokenRequest): boolean {
  return (
    request.method === 'OPTIONS' &&
    Boolean(request.header('origin')) &&
    Boolean(request.header('access-control-request-method'))
  )
}

/** Envoy compares audiences without scheme and trailing slash. @see its `CheckAudience` */
function withoutSchemeAndSlash(audience: string): string {
  const bare = audience.replace(/^https?:\/\//, '')
  return bare.endsWith('/') ? bare.slice(0, -1) : bare
}

function outputHeaders({ outputPayloadToHeader, outputClaimToHeaders }: JwtProvider): readonly string[] {
  const names = outputClaimToHeaders.map(({ header }) => header)
  return (outputPayloadToHeader ? [outputPayloadToHeader, ...names] : names).map((name) => name.toLowerCase())
}

function outputOf(provider: JwtProvider, jwt: Jwt): readonly (readonly [string, string])[] {
  const { outputPayloadToHeader: header, outputClaimToHeaders: claims } = provider
  const payload = header ? [[header.toLowerCase(), jwt.encodedPayload] as const] : []
  const lines = claims.flatMap(({ header: name, claim }) => {
    const text = claimText(valueAt(jwt.payload, claim.split('.')))
    return text === '' ? [] : [[name.toLowerCase(), text] as const]
  })
  return [...payload, ...lines]
}

/** Empty for what is no text, number or truth value, and for a text that no header line may have. */
function claimText(value: unknown): string {
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number')
    return Number.isInteger(value) && value >= 0 ? BigInt(value).toString() : value.toFixed(6)
  return typeof value === 'string' && isHeaderValue(value) ? value : ''
}

/** A claim is its issuer's word, and must not become two header lines. @see RFC 9110 §5.5 */
function isHeaderValue(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if ((code < 32 && code !== 9) || code === 127 || code > 255) return false
  }
  return true
}

/** The payload with lists in place of space-delimited texts. */
function withLists(payload: JwtPayload, claims: readonly string[]): JwtPayload {
  const names = [...SPACE_DELIMITED, ...claims].filter((name) => typeof payload[name] === 'string')
  if (names.length === 0) return payload
  const lists = names.map((name) => [name, String(payload[name]).split(' ').filter(Boolean)])
  return { ...payload, ...Object.fromEntries(lists) }
}

function refuse(failure: JwtFailure, request: TokenRequest): JwtRefused {
  const body = JWT_FAILURES[failure]
  const realm = `${request.scheme}://${request.authority}${request.path.slice(0, REALM_PATH_MAX)}`
  return {
    accepted: false,
    status: failure === 'JwtAudienceNotAllowed' ? 403 : 401,
    body,
    details: `jwt_authn_access_denied{${body.replaceAll(' ', '_')}}`,
    wwwAuthenticate: `Bearer realm="${realm}", error="invalid_token"`,
  }
}
