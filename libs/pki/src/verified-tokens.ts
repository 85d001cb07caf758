import { hash } from 'node:crypto'
import { LruCache } from '@ambient-lab/std'
import type { JwkSet } from './jwk-set.ts'
import { type Jwt, parseJwt, verifySignature } from './jwt.ts'
import type { JwtFailure } from './jwt-failure.ts'

/** A token that was taken apart, and by which keys it was verified already. */
export interface KnownToken {
  readonly jwt: Jwt
  readonly name: string
  readonly verifiedBy: JwkSet | undefined
}

/**
 * Tokens that were verified before: the same token comes with every request of its user, and its signature does not
 * change. Only a hash of it is kept, only of valid ones, and only as good as the keys that verified it.
 */
export class VerifiedTokens {
  readonly #known: LruCache<string, KnownToken>

  constructor(tokensMax: number) {
    this.#known = new LruCache(tokensMax)
  }

  get size(): number {
    return this.#known.size
  }

  parse(text: string): KnownToken | JwtFailure {
    const name = hash('sha256', text, 'base64')
    const known = this.#known.get(name)
    if (known) return known
    const jwt = parseJwt(text)
    return typeof jwt === 'string' ? jwt : { jwt, name, verifiedBy: undefined }
  }

  /** @returns undefined when a key of the set signed it */
  verify({ jwt, name, verifiedBy }: KnownToken, keys: JwkSet): JwtFailure | undefined {
    if (verifiedBy === keys) return undefined
    const failure = verifySignature(jwt, keys)
    if (failure) this.#known.delete(name)
    else this.#known.set(name, { jwt, name, verifiedBy: keys })
    return failure
  }

  /** For one whose time is over. */
  forget({ name }: KnownToken): void {
    this.#known.delete(name)
  }
}
