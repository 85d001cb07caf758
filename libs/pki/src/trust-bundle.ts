import type { X509Certificate } from 'node:crypto'
import { pkiError } from './errors.ts'
import { parseTrustDomain } from './trust-domain.ts'
import { isIssuedBy, parseCertificates } from './x509.ts'

/** The roots that speak for one trust domain: one in calm times, two while the root is rotated. Immutable. */
export class TrustBundle {
  readonly trustDomain: string
  readonly roots: readonly X509Certificate[]
  /** PEM, one root an element. */
  readonly rootsPem: readonly string[]

  /** @throws CodedError NO_ROOT_CERTIFICATE, INVALID_TRUST_DOMAIN */
  constructor(trustDomain: string, roots: readonly X509Certificate[]) {
    if (roots.length === 0) throw pkiError('NO_ROOT_CERTIFICATE', 'no root certificate present')
    this.trustDomain = parseTrustDomain(trustDomain)
    this.roots = roots
    this.rootsPem = roots.map((root) => root.toString())
  }

  /**
   * @param pem one text or several, each with one root or more
   * @throws CodedError NO_ROOT_CERTIFICATE, CERTIFICATE_MALFORMED, INVALID_TRUST_DOMAIN
   */
  static parse(trustDomain: string, pem: string | readonly string[]): TrustBundle {
    const texts = (typeof pem === 'string' ? [pem] : pem).filter((text) => text.trim() !== '')
    return new TrustBundle(trustDomain, texts.length > 0 ? parseCertificates(texts) : [])
  }

  /** Equal sets of roots, in whatever order. */
  equals(other: TrustBundle): boolean {
    return this.includes(other) && other.includes(this)
  }

  /** Whoever `other` believes, this believes as well. */
  includes(other: TrustBundle): boolean {
    const ours = new Set(this.roots.map((root) => root.fingerprint256))
    return this.trustDomain === other.trustDomain && other.roots.every((root) => ours.has(root.fingerprint256))
  }

  /** The roots of both, each once, those of this bundle first. @throws CodedError INVALID_TRUST_DOMAIN when they are of two domains */
  union(other: TrustBundle): TrustBundle {
    if (other.trustDomain !== this.trustDomain) {
      throw pkiError('INVALID_TRUST_DOMAIN', `${other.trustDomain} is not trust domain ${this.trustDomain}`)
    }
    const known = new Set(this.roots.map((root) => root.fingerprint256))
    return new TrustBundle(this.trustDomain, [
      ...this.roots,
      ...other.roots.filter((root) => !known.has(root.fingerprint256)),
    ])
  }

  /** The root that signed `certificate`, if one did. */
  issuerOf(certificate: X509Certificate): X509Certificate | undefined {
    return this.roots.find((root) => isIssuedBy(certificate, root))
  }
}
