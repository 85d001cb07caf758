import { X509Certificate } from 'node:crypto'
import {
  type CertificateTemplate,
  createSigner,
  generateKeyPair,
  type KeyPair,
  type SubjectAltName,
  signCertificate,
  TrustBundle,
} from '@ambient-lab/pki'

export const TRUST_DOMAIN = 'domain1.test'
export const WORKLOAD_URI = 'spiffe://domain1.test/workload'
/** A moment within the life of every certificate made here. */
export const NOW_MS = Date.UTC(2026, 0, 1)
const HOUR_MS = 3_600_000
export const NOT_BEFORE_MS = NOW_MS - HOUR_MS
export const NOT_AFTER_MS = NOW_MS + HOUR_MS

const AUTHORITY_NAME = { commonName: 'made up' }

/** What is wrong, or right, with a certificate that no authority of the lab would issue. */
export interface Forgery {
  /** @default the workload's */
  readonly uris?: readonly string[]
  readonly isAuthority?: boolean
}

/** A root of its own, and whatever it is told to sign. */
export class Forger {
  readonly #keys: KeyPair = generateKeyPair()
  readonly root: X509Certificate

  constructor() {
    this.root = this.#certificate(AUTHORITY_NAME, this.#keys, { uris: [], isAuthority: true })
  }

  bundle(trustDomain = TRUST_DOMAIN): TrustBundle {
    return new TrustBundle(trustDomain, [this.root])
  }

  /** A leaf, unless told otherwise. */
  sign(forgery: Forgery = {}): X509Certificate {
    const subject = forgery.isAuthority ? { commonName: 'somebody else' } : {}
    return this.#certificate(subject, generateKeyPair(), forgery)
  }

  #certificate(subject: CertificateTemplate['subject'], { publicKey }: KeyPair, forgery: Forgery): X509Certificate {
    const { uris = [WORKLOAD_URI], isAuthority = false } = forgery
    const template: CertificateTemplate = {
      subject,
      publicKey,
      notBeforeMs: NOT_BEFORE_MS,
      notAfterMs: NOT_AFTER_MS,
      use: isAuthority
        ? { kind: 'authority', pathLength: 1 }
        : { kind: 'end', extendedKeyUsage: ['serverAuth', 'clientAuth'] },
      subjectAltNames: uris.map((uri): SubjectAltName => ({ uri })),
    }
    return new X509Certificate(signCertificate(template, createSigner(this.#keys, AUTHORITY_NAME)).der)
  }
}

const KEY_USAGE_OID = Buffer.of(0x06, 0x03, 0x55, 0x1d, 0x0f)

/** The same without key usage: the extension has become one that nobody knows. Its signature no longer fits. */
export function withoutKeyUsage(certificate: X509Certificate): X509Certificate {
  return patched(certificate, (der, at) => der.writeUInt8(0x7f, at + KEY_USAGE_OID.length - 1))
}

/** The same with a key usage that may be ignored. Its signature no longer fits. */
export function withUncriticalKeyUsage(certificate: X509Certificate): X509Certificate {
  const valueOfCritical = KEY_USAGE_OID.length + 2
  return patched(certificate, (der, at) => der.writeUInt8(0, at + valueOfCritical))
}

/** The same with other bits of key usage (RFC 5280 §4.2.1.3). Its signature no longer fits. */
export function withKeyUsage(certificate: X509Certificate, bits: number): X509Certificate {
  // OID, BOOLEAN TRUE, OCTET STRING, BIT STRING with its count of unused bits.
  const valueOfBits = KEY_USAGE_OID.length + 3 + 2 + 3
  return patched(certificate, (der, at) => der.writeUInt8(bits, at + valueOfBits))
}

function patched(certificate: X509Certificate, patch: (der: Buffer, at: number) => void): X509Certificate {
  const der = Buffer.from(certificate.raw)
  patch(der, der.indexOf(KEY_USAGE_OID))
  return new X509Certificate(der)
}
