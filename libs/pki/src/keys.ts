import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { pkiError } from './errors.ts'
import { RSA_KEY_BITS_MIN } from './limits.ts'

export interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** A fresh P-256 pair. Synchronous: 30 µs, and a simulation on a virtual clock must not wait for a thread. */
export function generateKeyPair(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

/** PKCS #8. */
export function privateKeyToPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string
}

/**
 * The key of an authority that somebody else made: P-256, or RSA as Istio's own instructions make them.
 * @throws CodedError CERTIFICATE_MALFORMED when the text holds no such key
 */
export function authorityKeyFromPem(pem: string): KeyObject {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch (cause) {
    throw pkiError('CERTIFICATE_MALFORMED', 'not a private key in PEM', { cause })
  }
  const isRsa = key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= RSA_KEY_BITS_MIN
  if (isRsa || isP256(key)) return key
  throw pkiError(
    'CERTIFICATE_MALFORMED',
    `the key of an authority is on P-256, or RSA of ${RSA_KEY_BITS_MIN} bits and more`,
  )
}

export function isP256(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1'
}
