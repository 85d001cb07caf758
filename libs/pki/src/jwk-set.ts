import { createPublicKey, createSecretKey, type KeyObject, type webcrypto } from 'node:crypto'
import type { JwtFailure } from './jwt-failure.ts'
import { JWK_SET_BYTES_MAX, JWK_SET_KEYS_MAX, RSA_KEY_BITS_MIN } from './limits.ts'

/** One key that tokens can be signed with, ready to verify. */
export interface VerificationKey {
  /** Undefined: it may be any token's. */
  readonly id: string | undefined
  /** What the key may be used for: the algorithms of its kind, or the one that it names. */
  readonly algorithms: ReadonlySet<string>
  readonly key: KeyObject
}

export interface JwkSet {
  /** In the order of the document. */
  readonly keys: readonly VerificationKey[]
}

type Fields = Readonly<Record<string, unknown>>

const RSA_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
const CURVE_ALGORITHMS: Readonly<Record<string, string>> = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' }
/** Bytes that an HMAC key has at least: as many as the digest (RFC 7518 §3.2). */
const HMAC_KEY_BYTES: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 }

/**
 * A JWKS document. A key that nothing could be verified with is passed over: one of an unknown kind or for another use,
 * one that is broken, or one that is known to be weak. Besides what Envoy looks at, those are RSA keys of less than
 * 2048 bits or with the mark of ROCA, HMAC keys shorter than their digest, and EC points off their curve.
 * @returns the keys, or why there are none
 * @see https://www.rfc-editor.org/rfc/rfc7517#section-5
 */
export function parseJwkSet(text: string): JwkSet | JwtFailure {
  if (text.length > JWK_SET_BYTES_MAX) return 'JwksParseError'
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return 'JwksParseError'
  }
  if (!isFields(document)) return 'JwksParseError'
  const { keys } = document
  if (keys === undefined) return 'JwksNoKeys'
  if (!Array.isArray(keys)) return 'JwksBadKeys'
  const usable = keys.slice(0, JWK_SET_KEYS_MAX).flatMap((key) => (isFields(key) ? (verificationKey(key) ?? []) : []))
  return usable.length > 0 ? { keys: usable } : 'JwksNoValidKeys'
}

/** Undefined for what cannot verify anything. */
function verificationKey(jwk: Fields): VerificationKey | undefined {
  if (jwk.use !== undefined && jwk.use !== 'sig') return undefined
  if (jwk.key_ops !== undefined && !(Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify'))) return undefined
  const imported = importKey(jwk)
  if (!imported) return undefined
  const algorithms = jwk.alg === undefined ? imported.algorithms : imported.algorithms.filter((alg) => alg === jwk.alg)
  if (algorithms.length === 0) return undefined
  const id = typeof jwk.kid === 'string' && jwk.kid !== '' ? jwk.kid : undefined
  return { id, algorithms: new Set(algorithms), key: imported.key }
}

function importKey(jwk: Fields): { key: KeyObject; algorithms: readonly string[] } | undefined {
  switch (jwk.kty) {
    case 'RSA': {
      const key = importPublicKey(pick(jwk, 'kty', 'n', 'e'))
      return key && isSoundRsa(key, jwk) ? { key, algorithms: RSA_ALGORITHMS } : undefined
    }
    case 'EC': {
      const algorithm = typeof jwk.crv === 'string' ? CURVE_ALGORITHMS[jwk.crv] : undefined
      const key = algorithm === undefined ? undefined : importPublicKey(pick(jwk, 'kty', 'crv', 'x', 'y'))
      return key && { key, algorithms: [algorithm!] }
    }
    case 'OKP': {
      const key = jwk.crv === 'Ed25519' ? importPublicKey(pick(jwk, 'kty', 'crv', 'x')) : undefined
      return key && { key, algorithms: ['EdDSA'] }
    }
    case 'oct':
      return importSecret(jwk)
    default:
      return undefined
  }
}

/** Private parts are left out: only what verifies is kept. */
function pick(jwk: Fields, ...names: readonly string[]): webcrypto.JsonWebKey {
  return Object.fromEntries(names.map((name) => [name, jwk[name]]))
}

function importPublicKey(jwk: webcrypto.JsonWebKey): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    return undefined
  }
}

function importSecret({ k }: Fields): { key: KeyObject; algorithms: readonly string[] } | undefined {
  if (typeof k !== 'string' || !/^[A-Za-z0-9_-]+$/.test(k)) return undefined
  const secret = Buffer.from(k, 'base64url')
  const algorithms = Object.keys(HMAC_KEY_BYTES).filter((alg) => secret.length >= HMAC_KEY_BYTES[alg]!)
  return algorithms.length > 0 ? { key: createSecretKey(secret), algorithms } : undefined
}

function isSoundRsa(key: KeyObject, { n }: Fields): boolean {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (modulusLength < RSA_KEY_BITS_MIN || (publicExponent !== 3n && publicExponent !== 65_537n)) return false
  return !hasRocaMark(BigInt(`0x${Buffer.from(String(n), 'base64url').toString('hex')}`))
}

/** Small primes modulo which every modulus of the broken generator is a power of 65537. */
const ROCA_PRIMES = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157]

const ROCA_RESIDUES = ROCA_PRIMES.map((prime) => {
  const residues = new Set<number>()
  for (let power = 1; !residues.has(power); power = (power * 65_537) % prime) residues.add(power)
  return residues
})

/** @see Nemec et al., "The Return of Coppersmith's Attack" (CVE-2017-15361), §3: the fingerprint of such keys */
function hasRocaMark(modulus: bigint): boolean {
  return ROCA_PRIMES.every((prime, index) => ROCA_RESIDUES[index]!.has(Number(modulus % BigInt(prime))))
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
