import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type {
  AccessToken,
  Adapter,
  Configuration,
  JWK,
  KoaContextWithOIDC,
  Provider,
  ResourceServer,
} from 'oidc-provider'

/** Issues a token about anybody, without a password: for labs and tests only. */
export const TEST_TOKEN_GRANT = 'urn:ambient-lab:params:oauth:grant-type:test-token'

/** Keys that are published: the newest signs, older ones stay so that tokens in use remain valid. */
const KEYS_PUBLISHED_MAX = 4
const TOKEN_TTL_SECONDS = 3600
/** The audience of a token that asks for none. */
const AUDIENCE_DEFAULT = 'ambient-lab'

export interface OidcIssuerInit {
  /** What tokens say as `iss`, and where discovery is answered. */
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  /** Scopes that may be asked for. */
  readonly scopes: readonly string[]
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** An OpenID Connect issuer whose keys can be exchanged while it runs. */
export class OidcIssuer {
  readonly #init: OidcIssuerInit
  #keys: readonly JWK[]
  #handler: Promise<Handler> | undefined

  constructor(init: OidcIssuerInit) {
    this.#init = init
    this.#keys = [newKey()]
  }

  /** Answers one request; the first one loads the library. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#handler ??= this.#createHandler()
    const handler = await this.#handler
    handler(request, response)
  }

  /**
   * Signs with a new key from now on.
   * @param keepOld whether tokens of the old keys stay valid
   * @returns ids of the keys that are published, the signing one first
   */
  rotateKeys(keepOld: boolean): readonly string[] {
    this.#keys = [newKey(), ...(keepOld ? this.#keys : [])].slice(0, KEYS_PUBLISHED_MAX)
    this.#handler = undefined
    return this.#keys.map(({ kid }) => kid ?? '')
  }

  async #createHandler(): Promise<Handler> {
    const { Provider } = await import('oidc-provider')
    const provider = new Provider(this.#init.issuer, this.#configuration())
    provider.registerGrantType(
      TEST_TOKEN_GRANT,
      (context) => this.#issueTestToken(provider, context),
      TEST_TOKEN_PARAMS,
      [],
    )
    return provider.callback()
  }

  #configuration(): Configuration {
    const { clientId, clientSecret, scopes } = this.#init
    return {
      jwks: { keys: [...this.#keys] },
      adapter: NothingStored,
      clients: [
        {
          client_id: clientId,
          client_secret: clientSecret,
          grant_types: ['client_credentials', TEST_TOKEN_GRANT],
          redirect_uris: [],
          response_types: [],
        },
      ],
      scopes: [...scopes],
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => `urn:${AUDIENCE_DEFAULT}`,
          getResourceServerInfo: async () => this.#resourceServer(AUDIENCE_DEFAULT),
        },
      },
      ttl: { AccessToken: TOKEN_TTL_SECONDS, ClientCredentials: TOKEN_TTL_SECONDS },
      extraTokenClaims: ({ oidc }) => parseClaims(oidc.params?.claims),
    }
  }

  #resourceServer(audience: string): ResourceServer {
    const scope = this.#init.scopes.join(' ')
    return { scope, audience, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } } as ResourceServer
  }

  async #issueTestToken(provider: Provider, context: KoaContextWithOIDC): Promise<void> {
    const { client, params } = context.oidc
    const text = (name: string): string | undefined => (typeof params?.[name] === 'string' ? params[name] : undefined)
    const scope = text('scope') ?? ''
    const token: AccessToken = new provider.AccessToken({
      client: client!,
      accountId: text('subject') ?? client!.clientId,
      expiresWithSession: false,
      gty: TEST_TOKEN_GRANT,
      scope,
    } as ConstructorParameters<Provider['AccessToken']>[0])
    const audience = text('audience') ?? AUDIENCE_DEFAULT
    token.resourceServer = new provider.ResourceServer(audience, this.#resourceServer(audience))
    context.oidc.entity('AccessToken', token)
    context.body = {
      access_token: await token.save(),
      token_type: 'Bearer',
      expires_in: TOKEN_TTL_SECONDS,
      scope,
    }
  }
}

/** Tokens are signed and carry everything: there is nothing to keep. */
class NothingStored implements Adapter {
  async upsert(): Promise<void> {}
  async consume(): Promise<void> {}
  async destroy(): Promise<void> {}
  async revokeByGrantId(): Promise<void> {}
  async find(): Promise<undefined> {}
  async findByUid(): Promise<undefined> {}
  async findByUserCode(): Promise<undefined> {}
}

const TEST_TOKEN_PARAMS = ['subject', 'audience', 'scope', 'claims']

/** Of a token request: JSON of an object; anything else adds nothing. */
function parseClaims(text: unknown): Record<string, unknown> | undefined {
  if (typeof text !== 'string') return undefined
  try {
    const claims: unknown = JSON.parse(text)
    return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? { ...claims } : undefined
  } catch {
    return undefined
  }
}

function newKey(): JWK {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const kid = randomBytes(8).toString('hex')
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid } as JWK
}
