import { ISTIO_DURATION, type PolicyAttachment, policySpec } from '../istio-fields.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, boolean, object, oneOf, STATUS, string, withRules } from '../schema.ts'

export interface JwtHeader {
  readonly name: string
  /** What stands before the token, `Bearer ` with its blank. */
  readonly prefix?: string
}

/** One issuer whose tokens are taken, and where they are looked for. */
export interface JwtRule {
  readonly issuer?: string
  readonly audiences?: readonly string[]
  readonly jwksUri?: string
  /** The older spelling. */
  readonly jwks_uri?: string
  /** The key set itself. */
  readonly jwks?: string
  /** None of the three: `Authorization: Bearer`, then the parameter `access_token`. */
  readonly fromHeaders?: readonly JwtHeader[]
  readonly fromParams?: readonly string[]
  readonly fromCookies?: readonly string[]
  /** The payload in base64url goes here. */
  readonly outputPayloadToHeader?: string
  readonly outputClaimToHeaders?: readonly { readonly header: string; readonly claim: string }[]
  /** @default false: the token is taken away */
  readonly forwardOriginalToken?: boolean
  /** For fetching the key set. @default '5s' */
  readonly timeout?: string
  readonly spaceDelimitedClaims?: readonly string[]
  readonly presence?: 'OPTIONAL' | 'REQUIRED'
}

export interface RequestAuthenticationSpec extends PolicyAttachment {
  readonly jwtRules?: readonly JwtRule[]
}

export type RequestAuthentication = Resource<RequestAuthenticationSpec>

const WORD = string({ minLength: 1 })

const KEY_SET_URL = withRules<string>(string({ minLength: 1, maxLength: 2048 }), {
  'url must have scheme http:// or https://': (url) => /^https?:$/.test(URL.parse(url)?.protocol ?? ''),
})

const JWT_RULE = withRules<JwtRule>(
  object(
    {
      audiences: array(WORD),
      forwardOriginalToken: boolean(),
      fromCookies: array(WORD),
      fromHeaders: array(object({ name: WORD, prefix: string() }, { required: ['name'] })),
      fromParams: array(WORD),
      issuer: WORD,
      jwks: string(),
      jwks_uri: KEY_SET_URL,
      jwksUri: KEY_SET_URL,
      outputClaimToHeaders: array(
        object(
          { claim: WORD, header: string({ minLength: 1, pattern: '^[-_A-Za-z0-9]+$' }) },
          { required: ['claim', 'header'] },
        ),
      ),
      outputPayloadToHeader: string(),
      presence: oneOf('OPTIONAL', 'REQUIRED'),
      spaceDelimitedClaims: array(WORD, { maxItems: 64 }),
      timeout: ISTIO_DURATION,
    },
    { required: ['issuer'] },
  ),
  {
    'only one of jwks or jwksUri can be set': ({ jwks, jwksUri, jwks_uri }) =>
      [jwks, jwksUri, jwks_uri].filter((form) => form !== undefined).length <= 1,
  },
)

export default defineKind<RequestAuthentication>({
  group: 'security.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1'],
  kind: 'RequestAuthentication',
  plural: 'requestauthentications',
  shortNames: ['ra'],
  categories: ['istio-io', 'security-istio-io'],
  scope: 'Namespaced',
  schema: object({ spec: policySpec({ jwtRules: array(JWT_RULE, { maxItems: 4096 }) }), status: STATUS }),
  columns: [],
})
