import { constants, createHmac, timingSafeEqual, verify } from 'node:crypto'
import type { JwkSet, VerificationKey } from './jwk-set.ts'
import type { JwtFailure } from './jwt-failure.ts'
import { JWT_TEXT_MAX } from './limits.ts'

/** A signed text in three parts, taken apart; nothing about it is verified. */
export interface Jws {
  readonly algorithm: string
  readonly keyId: string | undefined
  /** Base64url, as in the token. */
  readonly encodedPayload: string
  /** What the signature is over. */
  readonly signedText: string
  readonly signature: Buffer
}

/** A token, taken apart; nothing about it is verified. */
export interface Jwt extends Jws {
  readonly payload: Readonly<Record<string, unknown>>
  readonly issuer: string | undefined
  readonly audiences: readonly string[]
  /** Seconds since the epoch. */
  readonly notBefore: number | undefined
  /** Seconds since the epoch. */
  readonly expires: number | undefined
}

type Payload = Jwt['payload']

/** How a signature of each algorithm is verified. */
const ALGORITHMS: Readonly<
  Record<string, { readonly digest: string; readonly family: 'RS' | 'PS' | 'ES' | 'HS' | 'Ed' }>
> = {
  RS256: { digest: 'sha256', family: 'RS' },
  RS384: { digest: 'sha384', family: 'RS' },
  RS512: { digest: 'sha512', family: 'RS' },
  PS256: { digest: 'sha256', family: 'PS' },
  PS384: { digest: 'sha384', family: 'PS' },
  PS512: { digest: 'sha512', family: 'PS' },
  ES256: { digest: 'sha256', family: 'ES' },
  ES384: { digest: 'sha384', family: 'ES' },
  ES512: { digest: 'sha512', family: 'ES' },
  HS256: { digest: 'sha256', family: 'HS' },
  HS384: { digest: 'sha384', family: 'HS' },
  HS512: { digest: 'sha512', family: 'HS' },
  EdDSA: { digest: '', family: 'Ed' },
}

const ED25519_SIGNATURE_BYTES = 64
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Takes a token apart, with the checks and in the order of Envoy's library.
 * @returns the token, or the first thing that is wrong with it
 * @see https://www.rfc-editor.org/rfc/rfc7519#section-7.2
 */
export function parseJwt(text: string): Jwt | JwtFailure {
  const header = parseHeader(text)
  if (typeof header === 'string') return header
  if (header.payloadPart === '') return 'JwtBadFormat'
  const claims = parsePayload(header.payloadPart)
  if (typeof claims === 'string') return claims
  const jws = withSignature(header)
  return typeof jws === 'string' ? jws : { ...jws, ...claims }
}

/** The same for a payload that is anything, or nothing. */
export function parseJws(text: string): Jws | JwtFailure {
  const header = parseHeader(text)
  if (typeof header === 'string') return header
  return decodeBase64url(header.payloadPart) ? withSignature(header) : 'JwtPayloadParseErrorBadBase64'
}

/**
 * Whether a key of the set signed it: one with the token's key id, where both have one, that may be used for the
 * token's algorithm. The token itself never says more about the key than that.
 * @returns undefined when one did
 */
export function verifySignature(jws: Jws, { keys }: JwkSet): JwtFailure | undefined {
  let hadKey = false
  for (const key of keys) {
    if (key.id !== undefined && jws.keyId !== undefined && key.id !== jws.keyId) continue
    if (!key.algorithms.has(jws.algorithm)) continue
    if (jws.algorithm === 'EdDSA' && jws.signature.length !== ED25519_SIGNATURE_BYTES) {
      return 'JwtEd25519SignatureWrongLength'
    }
    hadKey = true
    if (isSignedBy(jws, key)) return undefined
  }
  return hadKey ? 'JwtVerificationFail' : 'JwksKidAlgMismatch'
}

/** @param skewSeconds how far the issuer's clock may be off, either way */
export function checkValidity(jwt: Jwt, nowSeconds: number, skewSeconds: number): JwtFailure | undefined {
  if (jwt.notBefore !== undefined && nowSeconds + skewSeconds < jwt.notBefore) return 'JwtNotYetValid'
  if (jwt.expires !== undefined && nowSeconds > jwt.expires + skewSeconds) return 'JwtExpired'
  return undefined
}

interface Header extends Omit<Jws, 'signature' | 'encodedPayload'> {
  readonly payloadPart: string
  readonly signaturePart: string
}

function parseHeader(text: string): Header | JwtFailure {
  if (text.length > JWT_TEXT_MAX) return 'JwtBadFormat'
  const firstDot = text.indexOf('.')
  const secondDot = text.indexOf('.', firstDot + 1)
  if (firstDot < 1 || secondDot < 0 || secondDot === text.length - 1) return 'JwtBadFormat'
  if (text.indexOf('.', secondDot + 1) >= 0) return 'JwtBadFormat'
  const bytes = decodeBase64url(text.slice(0, firstDot))
  if (!bytes) return 'JwtHeaderParseErrorBadBase64'
  const header = parseJsonObject(bytes)
  if (!header) return 'JwtHeaderParseErrorBadJson'
  const { alg, kid } = header
  if (typeof alg !== 'string') return 'JwtHeaderBadAlg'
  if (!Object.hasOwn(ALGORITHMS, alg)) return 'JwtHeaderNotImplementedAlg'
  if (kid !== undefined && typeof kid !== 'string') return 'JwtHeaderBadKid'
  // Whoever marks an extension as critical wants tokens refused by those who do not know it, and we know none.
  if (header.crit !== undefined) return 'JwtVerificationFail'
  return {
    algorithm: alg,
    keyId: kid === '' ? undefined : kid,
    signedText: text.slice(0, secondDot),
    payloadPart: text.slice(firstDot + 1, secondDot),
    signaturePart: text.slice(secondDot + 1),
  }
}

function withSignature({ algorithm, keyId, signedText, payloadPart, signaturePart }: Header): Jws | JwtFailure {
  const signature = decodeBase64url(signaturePart)
  if (!signature) return 'JwtSignatureParseErrorBadBase64'
  return { algorithm, keyId, signedText, encodedPayload: payloadPart, signature }
}

type Claims = Pick<Jwt, 'payload' | 'issuer' | 'audiences' | 'notBefore' | 'expires'>

function parsePayload(part: string): Claims | JwtFailure {
  const bytes = decodeBase64url(part)
  if (!bytes) return 'JwtPayloadParseErrorBadBase64'
  const payload = parseJsonObject(bytes)
  if (!payload) return 'JwtPayloadParseErrorBadJson'
  const failure = checkClaims(payload)
  if (failure) return failure
  const { iss, aud, nbf, exp } = payload
  return {
    payload,
    issuer: typeof iss === 'string' ? iss : undefined,
    audiences: typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud : [],
    notBefore: typeof nbf === 'number' ? nbf : undefined,
    // Zero is no end: what Envoy's library takes a missing one for.
    expires: typeof exp === 'number' && exp > 0 ? exp : undefined,
  }
}

function checkClaims({ iss, sub, iat, nbf, exp, jti, aud }: Payload): JwtFailure | undefined {
  if (!isText(iss)) return 'JwtPayloadParseErrorIssNotString'
  if (!isText(sub)) return 'JwtPayloadParseErrorSubNotString'
  if (!isNumber(iat)) return 'JwtPayloadParseErrorIatNotInteger'
  if (!isPositive(iat)) return 'JwtPayloadParseErrorIatOutOfRange'
  if (!isNumber(nbf)) return 'JwtPayloadParseErrorNbfNotInteger'
  if (!isPositive(nbf)) return 'JwtPayloadParseErrorNbfOutOfRange'
  if (!isNumber(exp)) return 'JwtPayloadParseErrorExpNotInteger'
  if (!isPositive(exp)) return 'JwtPayloadParseErrorExpOutOfRange'
  if (!isText(jti)) return 'JwtPayloadParseErrorJtiNotString'
  const isAudience = isText(aud) || (Array.isArray(aud) && aud.every((one) => typeof one === 'string'))
  return isAudience ? undefined : 'JwtPayloadParseErrorAudNotString'
}

function isText(value: unknown): boolean {
  return value === undefined || typeof value === 'string'
}

function isNumber(value: unknown): value is number | undefined {
  return value === undefined || typeof value === 'number'
}

function isPositive(value: number | undefined): boolean {
  return value === undefined || (value >= 0 && value < 2 ** 64)
}

function isSignedBy({ algorithm, signedText, signature }: Jws, { key }: VerificationKey): boolean {
  const { digest, family } = ALGORITHMS[algorithm]!
  const data = Buffer.from(signedText)
  switch (family) {
    case 'RS':
      return verify(digest, data, key, signature)
    case 'PS':
      return verify(
        digest,
        data,
        { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
        signature,
      )
    case 'ES':
      return verify(digest, data, { key, dsaEncoding: 'ieee-p1363' }, signature)
    case 'Ed':
      return verify(null, data, key, signature)
    case 'HS': {
      const mac = createHmac(digest, key).update(data).digest()
      return mac.length === signature.length && timingSafeEqual(mac, signature)
    }
  }
}

/** Undefined unless it is the one spelling of its bytes: no padding, no other characters, no bits left over. */
function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

function parseJsonObject(bytes: Buffer): Payload | undefined {
  try {
    const value: unknown = JSON.parse(UTF8.decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Payload) : undefined
  } catch {
    return undefined
  }
}
