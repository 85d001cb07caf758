import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { pkiError } from './errors.ts'
import { CERTIFICATES_PEM_BYTES_MAX } from './limits.ts'
import { TrustBundle } from './trust-bundle.ts'

/** What a trust domain tells others about itself: the roots of its X.509-SVIDs and the keys of its tokens. */
export interface SpiffeBundle {
  /** Undefined when the domain issues tokens only. */
  readonly x509: TrustBundle | undefined
  /** By key id. */
  readonly jwtKeys: ReadonlyMap<string, KeyObject>
  /** By key id. */
  readonly witKeys: ReadonlyMap<string, KeyObject>
  readonly refreshHintSeconds: number | undefined
  readonly sequenceNumber: number | undefined
}

type Fields = Readonly<Record<string, unknown>>

/**
 * A bundle as JWKS. Keys for a use that nobody here knows are passed over, and so is an X.509 entry without certificate.
 * @throws CodedError BUNDLE_MALFORMED, INVALID_TRUST_DOMAIN
 * @see https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Trust_Domain_and_Bundle.md#4-spiffe-bundle-format
 */
export function parseSpiffeBundle(trustDomain: string, text: string): SpiffeBundle {
  const document = parseDocument(text)
  const roots: X509Certificate[] = []
  const jwtKeys = new Map<string, KeyObject>()
  const witKeys = new Map<string, KeyObject>()
  for (const [index, key] of keysOf(document).entries()) {
    if (key.use === 'x509-svid') roots.push(...rootOf(key, index))
    if (key.use === 'jwt-svid') jwtKeys.set(keyIdOf(key, index), publicKeyOf(key, index))
    if (key.use === 'wit-svid') witKeys.set(keyIdOf(key, index), publicKeyOf(key, index))
  }
  return {
    x509: roots.length > 0 ? new TrustBundle(trustDomain, roots) : undefined,
    jwtKeys,
    witKeys,
    refreshHintSeconds: wholeNumber(document, 'spiffe_refresh_hint'),
    sequenceNumber: wholeNumber(document, 'spiffe_sequence'),
  }
}

/** The X.509 roots of a trust domain for others to read. An entry has no `kid`: roots are known by what they signed. */
export function formatSpiffeBundle(bundle: TrustBundle, sequenceNumber: number): string {
  const keys = bundle.roots.map((root) => ({
    use: 'x509-svid',
    ...root.publicKey.export({ format: 'jwk' }),
    x5c: [root.raw.toString('base64')],
  }))
  return JSON.stringify({ keys, spiffe_sequence: sequenceNumber })
}

function parseDocument(text: string): Fields {
  if (text.length > CERTIFICATES_PEM_BYTES_MAX) throw malformed(`longer than ${CERTIFICATES_PEM_BYTES_MAX} bytes`)
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (cause) {
    throw malformed('no JSON', cause)
  }
  if (!isFields(document)) throw malformed('no JSON object')
  return document
}

function keysOf(document: Fields): readonly Fields[] {
  const { keys } = document
  if (!Array.isArray(keys) || !keys.every(isFields)) throw malformed('no authorities found')
  return keys
}

function rootOf(key: Fields, index: number): X509Certificate[] {
  const { x5c } = key
  if (x5c === undefined || (Array.isArray(x5c) && x5c.length === 0)) return []
  if (!Array.isArray(x5c) || x5c.length !== 1 || typeof x5c[0] !== 'string') {
    throw malformed(`expected a single certificate in x509-svid entry ${index}`)
  }
  try {
    return [new X509Certificate(Buffer.from(x5c[0], 'base64'))]
  } catch (cause) {
    throw malformed(`the certificate of entry ${index} cannot be read`, cause)
  }
}

function keyIdOf({ kid }: Fields, index: number): string {
  if (typeof kid !== 'string' || kid === '') throw malformed(`entry ${index} has no kid`)
  return kid
}

function publicKeyOf(key: Fields, index: number): KeyObject {
  try {
    return createPublicKey({ key: { ...key }, format: 'jwk' })
  } catch (cause) {
    throw malformed(`the key of entry ${index} cannot be read`, cause)
  }
}

function wholeNumber(document: Fields, field: string): number | undefined {
  const value = document[field]
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw malformed(`${field} is no count`)
  return value
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function malformed(reason: string, cause?: unknown): Error {
  return pkiError('BUNDLE_MALFORMED', `not a SPIFFE bundle: ${reason}`, { cause })
}
