import type { KeyObject, X509Certificate } from 'node:crypto'
import { assert } from '@ambient-lab/std'
import { pkiError } from './errors.ts'
import { privateKeyToPem } from './keys.ts'
import { CHAIN_LENGTH_MAX } from './limits.ts'
import { formatSpiffeId, parseSpiffeId, parseSpiffeUri, type SpiffeId, type SpiffeUri } from './spiffe-id.ts'
import type { TrustBundle } from './trust-bundle.ts'
import { isIssuedBy, KEY_USAGE, parseCertificates, readCertificateFacts } from './x509.ts'

export interface X509SvidInit {
  /** Leaf first, then intermediates. */
  readonly chainPem: string | readonly string[]
  readonly privateKey: KeyObject
  /** Whom this workload trusts; came with the certificate. */
  readonly bundle: TrustBundle
}

/** A workload's certificate, its key, and the roots that came with them. Immutable: a rotation makes a new one. */
export class X509Svid {
  readonly id: SpiffeId
  readonly chain: readonly X509Certificate[]
  readonly privateKey: KeyObject
  readonly bundle: TrustBundle
  readonly notBeforeMs: number
  readonly notAfterMs: number
  #privateKeyPem: string | undefined

  /** @throws CodedError CERTIFICATE_MALFORMED, INVALID_SPIFFE_ID, SVID_KEY_MISMATCH */
  constructor(init: X509SvidInit) {
    this.chain = parseCertificates(init.chainPem)
    this.id = parseSpiffeId(formatUri(checkSvidForm(this.chain)))
    if (!this.leaf.checkPrivateKey(init.privateKey)) {
      throw pkiError('SVID_KEY_MISMATCH', `the certificate of ${formatSpiffeId(this.id)} is for another key`)
    }
    this.privateKey = init.privateKey
    this.bundle = init.bundle
    this.notBeforeMs = this.leaf.validFromDate.getTime()
    this.notAfterMs = this.leaf.validToDate.getTime()
  }

  get leaf(): X509Certificate {
    return this.chain[0]!
  }

  /** PEM of leaf and intermediates, as TLS takes it. */
  get chainPem(): string {
    return this.chain.map((certificate) => certificate.toString()).join('')
  }

  /** PKCS #8 PEM, as TLS takes it. */
  get privateKeyPem(): string {
    this.#privateKeyPem ??= privateKeyToPem(this.privateKey)
    return this.#privateKeyPem
  }

  /** Upper case hex. */
  get serialNumber(): string {
    return this.leaf.serialNumber
  }

  isValidAt(nowMs: number): boolean {
    return this.notBeforeMs <= nowMs && nowMs < this.notAfterMs
  }

  /** The same certificate and key, and other roots to judge peers by. */
  withBundle(bundle: TrustBundle): X509Svid {
    return new X509Svid({ chainPem: this.chainPem, privateKey: this.privateKey, bundle })
  }
}

/** serverAuth and clientAuth, as X509Certificate names them. */
const TLS_USES = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']

/**
 * Whether a chain has the form of an X509-SVID; says nothing about trust or time.
 * @returns the leaf's id, in any form that SPIFFE allows
 * @throws CodedError CERTIFICATE_MALFORMED, INVALID_SPIFFE_ID
 * @see https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md#appendix-a-x509-field-reference
 */
export function checkSvidForm(chain: readonly X509Certificate[]): SpiffeUri {
  const [leaf, ...signers] = chain
  if (!leaf) throw malformed('empty certificate chain')
  const facts = readCertificateFacts(leaf)
  const usage = facts.keyUsage
  if (facts.isAuthority) throw malformed('leaf certificate must not have the CA flag')
  if (usage === undefined || !facts.isKeyUsageCritical)
    throw malformed('leaf certificate must have a critical key usage')
  if (!(usage & KEY_USAGE.digitalSignature)) throw malformed("leaf certificate must have key usage 'digitalSignature'")
  if (usage & KEY_USAGE.keyCertSign) throw malformed("leaf certificate must not have key usage 'keyCertSign'")
  if (usage & KEY_USAGE.crlSign) throw malformed("leaf certificate must not have key usage 'cRLSign'")
  const extendedUsage = leaf.keyUsage as readonly string[] | undefined
  if (extendedUsage && !TLS_USES.every((use) => extendedUsage.includes(use))) {
    throw malformed('leaf certificate with extended key usage must have both serverAuth and clientAuth')
  }
  for (const signer of signers) checkSignerForm(signer)
  const id = parseSpiffeUri(onlyUriName(facts.uriNames))
  if (id.path === '') throw malformed('leaf certificate must have a SPIFFE id with a path')
  return id
}

function checkSignerForm(signer: X509Certificate): void {
  const { isAuthority, keyUsage, isKeyUsageCritical, uriNames } = readCertificateFacts(signer)
  if (!isAuthority) throw malformed('signing certificate must have the CA flag')
  if (keyUsage === undefined || !isKeyUsageCritical)
    throw malformed('signing certificate must have a critical key usage')
  if (!(keyUsage & KEY_USAGE.keyCertSign)) throw malformed("signing certificate must have key usage 'keyCertSign'")
  if (uriNames.length > 0 && parseSpiffeUri(onlyUriName(uriNames)).path !== '') {
    throw malformed('signing certificate must have a SPIFFE id without a path, or none')
  }
}

/**
 * Decides on a chain by everything that X509-SVID asks for: its form, and a path to a root of its own trust domain.
 * @param bundles by trust domain
 * @throws CodedError CERTIFICATE_MALFORMED, INVALID_SPIFFE_ID, PEER_WRONG_TRUST_DOMAIN, and those of verifyChain
 */
export function verifySvid(
  chain: readonly X509Certificate[],
  bundles: ReadonlyMap<string, TrustBundle>,
  nowMs: number,
): SpiffeUri {
  const id = checkSvidForm(chain)
  const bundle = bundles.get(id.trustDomain)
  if (!bundle) throw pkiError('PEER_WRONG_TRUST_DOMAIN', `no trust bundle for trust domain ${id.trustDomain}`)
  verifyChain(chain, bundle, nowMs)
  return id
}

/**
 * The id in a peer's leaf, of Istio's form.
 * @throws CodedError PEER_NO_IDENTITY when there is no URI SAN, several, or one of another form
 */
export function peerIdentity(leaf: X509Certificate): SpiffeId {
  try {
    return parseSpiffeId(onlyUriName(readCertificateFacts(leaf).uriNames))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'unreadable'
    throw pkiError('PEER_NO_IDENTITY', `identity verification error: ${reason}`, { origin: 'downstream', cause })
  }
}

/**
 * Path validation (RFC 5280 §6) from the leaf to one of the bundle's roots: signatures, CA flags, path lengths, dates.
 * A chain that leads nowhere is reported as untrusted even if it has expired as well.
 * @param chain leaf first; intermediates in any order, strangers among them are ignored
 * @throws CodedError PEER_UNTRUSTED, PEER_EXPIRED, PEER_NOT_YET_VALID
 */
export function verifyChain(chain: readonly X509Certificate[], bundle: TrustBundle, nowMs: number): void {
  for (const certificate of pathToRoot(chain, bundle)) {
    const until = certificate.validToDate
    if (nowMs >= until.getTime()) {
      throw pkiError('PEER_EXPIRED', `invalid peer certificate: expired at ${until.toISOString()}`)
    }
    const from = certificate.validFromDate
    if (nowMs < from.getTime()) {
      throw pkiError('PEER_NOT_YET_VALID', `invalid peer certificate: not valid before ${from.toISOString()}`)
    }
  }
}

/**
 * The root that a chain leads to, whatever the dates in it say.
 * @throws CodedError PEER_UNTRUSTED when it leads to none of the bundle's
 */
export function rootOf(chain: readonly X509Certificate[], bundle: TrustBundle): X509Certificate {
  return pathToRoot(chain, bundle).at(-1)!
}

function pathToRoot(chain: readonly X509Certificate[], bundle: TrustBundle): X509Certificate[] {
  assert(chain.length > 0, 'a chain to verify has a leaf')
  const path = [chain[0]!]
  const unused = new Set(chain.slice(1, CHAIN_LENGTH_MAX))
  for (;;) {
    const last = path.at(-1)!
    const root = bundle.issuerOf(last)
    if (root) return mayStandAbove(root, path) ? [...path, root] : untrusted('path is longer than its root allows')
    const next = [...unused].find((issuer) => isIssuedBy(last, issuer))
    if (!next) return untrusted('unknown issuer')
    if (!mayStandAbove(next, path)) return untrusted('issuer is no authority for this path')
    unused.delete(next)
    path.push(next)
  }
}

/** X509Certificate.ca already says that both the CA flag and keyCertSign are there. */
function mayStandAbove(issuer: X509Certificate, path: readonly X509Certificate[]): boolean {
  return issuer.ca && path.length - 1 <= (readCertificateFacts(issuer).pathLength ?? CHAIN_LENGTH_MAX)
}

function onlyUriName(names: readonly string[]): string {
  if (names.length === 0) throw malformed('certificate contains no URI SAN')
  if (names.length > 1) throw malformed('certificate contains more than one URI SAN')
  return names[0]!
}

function formatUri(uri: SpiffeUri): string {
  return `spiffe://${uri.trustDomain}${uri.path}`
}

function malformed(message: string): Error {
  return pkiError('CERTIFICATE_MALFORMED', message)
}

function untrusted(reason: string): never {
  throw pkiError('PEER_UNTRUSTED', `invalid peer certificate: ${reason}`)
}
