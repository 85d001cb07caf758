import { type Clock, LruCache } from '@ambient-lab/std'
import { type JwkSet, parseJwkSet } from './jwk-set.ts'
import type { JwtFailure } from './jwt-failure.ts'
import {
  JWK_SET_BYTES_MAX,
  JWK_SET_FETCH_TIMEOUT_MS,
  JWK_SET_REFRESH_MS,
  JWK_SET_RETRY_MS,
  JWK_SET_SOURCES_MAX,
  JWK_SET_STALE_MS_MAX,
} from './limits.ts'

/** Where an issuer's keys are: at hand, at an address, or where the issuer's OIDC discovery document says. */
export type JwkSetLocation = { readonly inline: string } | { readonly uri: string } | { readonly discovery: string }

/**
 * Reads the text at an address; rejects unless the answer is 200.
 * @param signal aborts when its time is over; a text beyond JWK_SET_BYTES_MAX need not be read to its end
 */
export type FetchText = (url: string, signal: AbortSignal) => Promise<string>

export type JwkSetResult = JwkSet | JwtFailure

export interface JwkSetSourceComponents {
  readonly fetchText: FetchText
  readonly clock: Clock
}

export interface JwkSetSourceInit {
  /** Of one fetch, discovery included. @default 5000 */
  readonly timeoutMs?: number
  /** How long keys are good for. @default 300_000 */
  readonly refreshMs?: number
  /** How long keys still serve while fetching them anew fails; 0: not at all, as at Envoy. @default 3_600_000 */
  readonly staleMsMax?: number
}

/**
 * The keys of one issuer that are fetched when a token needs them: by all tokens together once, again when they are five
 * minutes old, and a second after a fetch failed at the earliest.
 */
export class JwkSetSource {
  readonly #location: Exclude<JwkSetLocation, { readonly inline: string }>
  readonly #components: JwkSetSourceComponents
  readonly #timeoutMs: number
  readonly #refreshMs: number
  readonly #staleMsMax: number
  #keys: { readonly set: JwkSet; readonly fetchedAt: number } | undefined
  #failedAt: number | undefined
  #fetching: Promise<JwkSetResult> | undefined

  constructor(
    location: Exclude<JwkSetLocation, { readonly inline: string }>,
    components: JwkSetSourceComponents,
    init: JwkSetSourceInit = {},
  ) {
    this.#location = location
    this.#components = components
    this.#timeoutMs = init.timeoutMs ?? JWK_SET_FETCH_TIMEOUT_MS
    this.#refreshMs = init.refreshMs ?? JWK_SET_REFRESH_MS
    this.#staleMsMax = init.staleMsMax ?? JWK_SET_STALE_MS_MAX
  }

  /** At once while the keys are good, or while there is no point in asking; never rejects. */
  get(): JwkSetResult | Promise<JwkSetResult> {
    const now = this.#components.clock.monotonic()
    if (this.#keys && now - this.#keys.fetchedAt < this.#refreshMs) return this.#keys.set
    if (this.#failedAt !== undefined && now - this.#failedAt < JWK_SET_RETRY_MS) return this.#lastResort(now)
    this.#fetching ??= this.#refresh().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #refresh(): Promise<JwkSetResult> {
    const set = await this.#fetchInTime()
    const now = this.#components.clock.monotonic()
    if (set) {
      this.#keys = { set, fetchedAt: now }
      this.#failedAt = undefined
      return set
    }
    this.#failedAt = now
    return this.#lastResort(now)
  }

  #lastResort(now: number): JwkSetResult {
    if (this.#keys && now - this.#keys.fetchedAt < this.#refreshMs + this.#staleMsMax) return this.#keys.set
    return 'JwksFetchFail'
  }

  /** Undefined for whatever did not work out; a fetch that does not heed its signal is left alone. */
  async #fetchInTime(): Promise<JwkSet | undefined> {
    const timeout = new AbortController()
    const { promise: late, resolve: giveUp } = Promise.withResolvers<undefined>()
    const cancel = this.#components.clock.schedule(
      this.#timeoutMs,
      () => {
        timeout.abort()
        giveUp(undefined)
      },
      { background: true },
    )
    try {
      return await Promise.race([this.#fetch(timeout.signal), late])
    } catch {
      return undefined
    } finally {
      cancel()
    }
  }

  async #fetch(signal: AbortSignal): Promise<JwkSet | undefined> {
    const location = this.#location
    const uri = 'uri' in location ? location.uri : await this.#discover(location.discovery, signal)
    const set = parseJwkSet(await this.#components.fetchText(uri, signal))
    return typeof set === 'string' ? undefined : set
  }

  /** @see https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationRequest */
  async #discover(issuer: string, signal: AbortSignal): Promise<string> {
    const base = issuer.endsWith('/') ? issuer.slice(0, -1) : issuer
    const text = await this.#components.fetchText(`${base}/.well-known/openid-configuration`, signal)
    if (text.length > JWK_SET_BYTES_MAX) throw new RangeError('discovery document too long')
    const { jwks_uri: uri } = JSON.parse(text)
    if (typeof uri !== 'string' || !/^https?:/.test(uri)) throw new TypeError('discovery document without jwks_uri')
    return uri
  }
}

/** The keys of every issuer that one proxy knows, each document read once however many rules name it. */
export class JwkSetStore {
  readonly #components: JwkSetSourceComponents
  readonly #inline = new LruCache<string, JwkSetResult>(JWK_SET_SOURCES_MAX)
  readonly #sources = new LruCache<string, JwkSetSource>(JWK_SET_SOURCES_MAX)

  constructor(components: JwkSetSourceComponents) {
    this.#components = components
  }

  /** Never rejects; at once when the keys are at hand. */
  keysAt(location: JwkSetLocation, timeoutMs: number): JwkSetResult | Promise<JwkSetResult> {
    if ('inline' in location) return this.#parsed(location.inline)
    const name = JSON.stringify([location, timeoutMs])
    let source = this.#sources.get(name)
    if (!source) {
      source = new JwkSetSource(location, this.#components, { timeoutMs })
      this.#sources.set(name, source)
    }
    return source.get()
  }

  #parsed(text: string): JwkSetResult {
    let keys = this.#inline.get(text)
    if (keys === undefined) {
      // Envoy's word for whatever is wrong with keys that it was configured with.
      const parsed = parseJwkSet(text)
      keys = typeof parsed === 'string' ? 'JwksNoValidKeys' : parsed
      this.#inline.set(text, keys)
    }
    return keys
  }
}
