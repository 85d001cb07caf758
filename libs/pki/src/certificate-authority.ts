import type { KeyObject, X509Certificate } from 'node:crypto'
import { assert, type Clock } from '@ambient-lab/std'
import { type ParsedCsr, parseCsr } from './csr.ts'
import { pkiError } from './errors.ts'
import { authorityKeyFromPem, generateKeyPair, type KeyPair, privateKeyToPem } from './keys.ts'
import {
  API_CERTIFICATE_TTL_SECONDS,
  CA_TTL_SECONDS,
  CLOCK_SKEW_GRACE_MS,
  SVID_TTL_SECONDS_DEFAULT,
  SVID_TTL_SECONDS_MAX,
} from './limits.ts'
import { encodePem } from './pem.ts'
import { signRevocationList } from './revocation-list.ts'
import { formatSpiffeId, parseSpiffeId, type SpiffeId } from './spiffe-id.ts'
import { TrustBundle } from './trust-bundle.ts'
import { TRUST_DOMAIN_DEFAULT } from './trust-domain.ts'
import {
  createSigner,
  type DistinguishedName,
  parseCertificates,
  type Signer,
  type SubjectAltName,
  signCertificate,
  signerOf,
} from './x509.ts'
import { rootOf } from './x509-svid.ts'

export interface CertificateAuthorityComponents {
  readonly clock: Pick<Clock, 'now'>
}

/** Everything that has to be kept; all PEM. The two keys are secrets. */
export interface SerializedAuthority {
  readonly trustDomain: string
  /** The root that signed the intermediate first, then others that are trusted during a root rotation. */
  readonly rootsPem: readonly string[]
  readonly rootKeyPem: string
  readonly intermediatePem: string
  readonly intermediateKeyPem: string
}

/** An authority that somebody else made, as the Secret `cacerts` of Istio brings it. All PEM; the key is a secret. */
export interface PluggedAuthority {
  readonly trustDomain: string
  /** Everything that is to be trusted: the root of the chain, and others during a rotation. */
  readonly rootsPem: readonly string[]
  /** The certificate that signs first, then those between it and its root. */
  readonly chainPem: readonly string[]
  readonly keyPem: string
}

export interface IssuedCertificate {
  /** Leaf, then the intermediate; PEM, one certificate an element. */
  readonly chainPem: readonly string[]
  /** Every root that is trusted now. */
  readonly rootsPem: readonly string[]
  /** Upper case hex. */
  readonly serialNumber: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** A certificate whose key the authority made itself, for its own process or a person's kubeconfig. */
export interface IssuedWithKey extends IssuedCertificate {
  readonly keyPem: string
}

interface LeafInit {
  readonly publicKey: KeyObject
  readonly subject: DistinguishedName
  readonly subjectAltNames: readonly SubjectAltName[]
  readonly extendedKeyUsage: readonly ('serverAuth' | 'clientAuth')[]
  readonly ttlSeconds: number
}

export const NODE_GROUP = 'system:nodes'
export const NODE_USER_PREFIX = 'system:node:'

/**
 * A root and what signs in its name: our own with one intermediate, or one that was plugged in. It grants what it is told to grant: who may ask for what is
 * decided by the caller. Workload certificates have a URI SAN and no subject, API clients a subject and no URI SAN,
 * so neither can pass for the other although they share a root.
 */
export class CertificateAuthority {
  readonly bundle: TrustBundle
  /** The certificate whose key signs: an intermediate, or the root itself. */
  readonly signer: X509Certificate
  readonly #clock: Pick<Clock, 'now'>
  /** The certificate that signs, then those above it; without the root. */
  readonly chain: readonly X509Certificate[]
  /** The one of the bundle that the chain leads to. */
  readonly root: X509Certificate
  readonly #signer: Signer
  readonly #rootKeyPem: string | undefined

  private constructor(
    components: CertificateAuthorityComponents,
    { trustDomain, rootsPem, chainPem, keyPem }: PluggedAuthority,
    rootKeyPem?: string,
  ) {
    this.#clock = components.clock
    this.bundle = TrustBundle.parse(trustDomain, rootsPem)
    this.#rootKeyPem = rootKeyPem
    const chain = parseCertificates(chainPem)
    const [certificate] = chain
    const privateKey = authorityKeyFromPem(keyPem)
    if (!certificate!.checkPrivateKey(privateKey)) {
      throw pkiError(
        'SVID_KEY_MISMATCH',
        'the key of the certificate authority is not that of its intermediate certificate',
      )
    }
    if (!certificate!.ca) {
      throw pkiError('CERTIFICATE_MALFORMED', 'the certificate of the certificate authority may not sign others')
    }
    this.root = rootAbove(chain, this.bundle)
    this.chain = chain.filter(({ fingerprint256 }) => fingerprint256 !== this.root.fingerprint256)
    this.#signer = signerOf(certificate!, privateKey)
    this.signer = certificate!
  }

  /** A new root and a new intermediate. */
  static create(
    components: CertificateAuthorityComponents,
    init: {
      /** @default 'cluster.local' */
      readonly trustDomain?: string
      /** Of the root; the intermediate ends with it. @default ten years */
      readonly ttlSeconds?: number
      /** Tells the names of its certificates from those of another one, for people. @default none */
      readonly generation?: string
    } = {},
  ): CertificateAuthority {
    const { trustDomain = TRUST_DOMAIN_DEFAULT, ttlSeconds = CA_TTL_SECONDS, generation } = init
    const nowMs = components.clock.now()
    const root = generateKeyPair()
    const intermediate = generateKeyPair()
    const named = (name: string) => ({
      organizations: [trustDomain],
      commonName: generation === undefined ? name : `${name} ${generation}`,
    })
    const rootName = named('Ambient Lab root')
    const intermediateName = named('Ambient Lab intermediate')
    const signer = createSigner(root, rootName)
    const authority = (subject: DistinguishedName, { publicKey }: KeyPair, pathLength: number) => {
      const validity = { notBeforeMs: nowMs - CLOCK_SKEW_GRACE_MS, notAfterMs: nowMs + ttlSeconds * 1000 }
      const use = { kind: 'authority', pathLength } as const
      const { der } = signCertificate({ subject, publicKey, ...validity, use, subjectAltNames: [] }, signer)
      return encodePem('CERTIFICATE', der)
    }
    return new CertificateAuthority(
      components,
      {
        trustDomain,
        rootsPem: [authority(rootName, root, 1)],
        chainPem: [authority(intermediateName, intermediate, 0)],
        keyPem: privateKeyToPem(intermediate.privateKey),
      },
      privateKeyToPem(root.privateKey),
    )
  }

  /** @throws CodedError CERTIFICATE_MALFORMED, SVID_KEY_MISMATCH, NO_ROOT_CERTIFICATE when the parts do not fit */
  static load(components: CertificateAuthorityComponents, saved: SerializedAuthority): CertificateAuthority {
    const { trustDomain, rootsPem, rootKeyPem, intermediatePem, intermediateKeyPem } = saved
    const plugged = { trustDomain, rootsPem, chainPem: [intermediatePem], keyPem: intermediateKeyPem }
    return new CertificateAuthority(components, plugged, rootKeyPem)
  }

  /**
   * @throws CodedError CERTIFICATE_MALFORMED, SVID_KEY_MISMATCH, NO_ROOT_CERTIFICATE when the parts do not fit
   */
  static plugIn(components: CertificateAuthorityComponents, plugged: PluggedAuthority): CertificateAuthority {
    return new CertificateAuthority(components, plugged)
  }

  serialize(): SerializedAuthority {
    assert(this.#rootKeyPem !== undefined, 'an authority that was plugged in is kept by whoever made it')
    const { keyPem, chainPem } = this.plugged()
    const { trustDomain, rootsPem } = this
    const [intermediatePem = ''] = chainPem
    return { trustDomain, rootsPem, rootKeyPem: this.#rootKeyPem, intermediatePem, intermediateKeyPem: keyPem }
  }

  /** The same signer, and other roots that are trusted beside its own. */
  trusting(bundle: TrustBundle): CertificateAuthority {
    const { rootsPem } = bundle
    return new CertificateAuthority({ clock: this.#clock }, { ...this.plugged(), rootsPem }, this.#rootKeyPem)
  }

  /** What it takes to sign in this authority's name elsewhere. */
  plugged(): PluggedAuthority {
    const { trustDomain, rootsPem, signer, chain } = this
    const above = chain.filter(({ fingerprint256 }) => fingerprint256 !== signer.fingerprint256)
    return {
      trustDomain,
      rootsPem,
      chainPem: [signer, ...above].map(String),
      keyPem: privateKeyToPem(this.#signer.privateKey),
    }
  }

  get trustDomain(): string {
    return this.bundle.trustDomain
  }

  get rootsPem(): readonly string[] {
    return this.bundle.rootsPem
  }

  /** SHA-256 of the root's DER, lower case hex: what a join token pins. */
  get rootFingerprint(): string {
    return this.bundle.roots[0]!.fingerprint256.replaceAll(':', '').toLowerCase()
  }

  /**
   * A workload's SVID for the id that its request names.
   * @param ttlSeconds zero or absent means the default of 24 h
   * @throws CodedError CSR_REFUSED when the request has a subject, no or several names, an id of another trust domain;
   *   CERTIFICATE_TTL_REFUSED beyond 90 days
   */
  signWorkload(csr: string | ParsedCsr, ttlSeconds: number = SVID_TTL_SECONDS_DEFAULT): IssuedCertificate {
    const request = typeof csr === 'string' ? parseCsr(csr) : csr
    const id = requestedIdentity(request)
    if (id.trustDomain !== this.trustDomain) {
      throw pkiError(
        'CSR_REFUSED',
        `certificate request refused: ${formatSpiffeId(id)} is not of trust domain ${this.trustDomain}`,
      )
    }
    return this.#signLeaf({
      publicKey: request.publicKey,
      subject: {},
      subjectAltNames: [{ uri: formatSpiffeId(id) }],
      extendedKeyUsage: ['serverAuth', 'clientAuth'],
      ttlSeconds: ttlSeconds || SVID_TTL_SECONDS_DEFAULT,
    })
  }

  /** The client certificate of a node's agent: CN `system:node:<node>`, O `system:nodes`. Only the request's key counts. */
  signNode(csr: string | ParsedCsr, node: string, ttlSeconds: number = SVID_TTL_SECONDS_MAX): IssuedCertificate {
    const { publicKey } = typeof csr === 'string' ? parseCsr(csr) : csr
    const subject = { commonName: NODE_USER_PREFIX + node, organizations: [NODE_GROUP] }
    return this.#signLeaf({ publicKey, subject, subjectAltNames: [], extendedKeyUsage: ['clientAuth'], ttlSeconds })
  }

  /** A client certificate with its key, for a kubeconfig. */
  issueClient(subject: DistinguishedName, ttlSeconds: number = API_CERTIFICATE_TTL_SECONDS): IssuedWithKey {
    return this.#issue({ subject, subjectAltNames: [], extendedKeyUsage: ['clientAuth'], ttlSeconds })
  }

  /** A server certificate with its key, for the API server. */
  issueServer(
    names: {
      readonly dnsNames?: readonly string[]
      readonly ipAddresses?: readonly string[]
      readonly commonName: string
    },
    ttlSeconds: number = API_CERTIFICATE_TTL_SECONDS,
  ): IssuedWithKey {
    const { dnsNames = [], ipAddresses = [], commonName } = names
    return this.#issue({
      subject: { commonName },
      subjectAltNames: [...dnsNames.map((dns) => ({ dns })), ...ipAddresses.map((ip) => ({ ip }))],
      extendedKeyUsage: ['serverAuth'],
      ttlSeconds,
    })
  }

  /** PEM of a list that takes workload certificates back. @param serialNumbers upper case hex */
  revocationList(serialNumbers: readonly string[], ttlSeconds: number = SVID_TTL_SECONDS_MAX): string {
    const thisUpdateMs = this.#clock.now()
    const validity = { thisUpdateMs, nextUpdateMs: thisUpdateMs + ttlSeconds * 1000 }
    return signRevocationList(serialNumbers, validity, this.#signer)
  }

  #issue(init: Omit<LeafInit, 'publicKey'>): IssuedWithKey {
    const keys = generateKeyPair()
    return { ...this.#signLeaf({ ...init, publicKey: keys.publicKey }), keyPem: privateKeyToPem(keys.privateKey) }
  }

  #signLeaf(init: LeafInit): IssuedCertificate {
    const validity = this.#validity(init)
    const use = { kind: 'end', extendedKeyUsage: init.extendedKeyUsage } as const
    const { der, serialNumber } = signCertificate({ ...init, ...validity, use }, this.#signer)
    return {
      chainPem: [encodePem('CERTIFICATE', der), ...this.chain.map(String)],
      rootsPem: this.rootsPem,
      serialNumber,
      ...validity,
    }
  }

  /** In whole seconds, as a certificate says it. */
  #validity({ ttlSeconds, subjectAltNames }: LeafInit): { notBeforeMs: number; notAfterMs: number } {
    const nowMs = Math.floor(this.#clock.now() / 1000) * 1000
    const signerEndMs = this.signer.validToDate.getTime()
    const isWorkload = subjectAltNames.some((name) => 'uri' in name)
    if (!(ttlSeconds > 0) || (isWorkload && ttlSeconds > SVID_TTL_SECONDS_MAX)) {
      throw pkiError(
        'CERTIFICATE_TTL_REFUSED',
        `requested TTL ${ttlSeconds} s is not within 1 s and ${SVID_TTL_SECONDS_MAX} s`,
      )
    }
    if (signerEndMs <= nowMs) throw pkiError('CERTIFICATE_TTL_REFUSED', 'the certificate authority itself has expired')
    return { notBeforeMs: nowMs - CLOCK_SKEW_GRACE_MS, notAfterMs: Math.min(nowMs + ttlSeconds * 1000, signerEndMs) }
  }
}

function rootAbove(chain: readonly X509Certificate[], bundle: TrustBundle): X509Certificate {
  try {
    return rootOf(chain, bundle)
  } catch (cause) {
    throw pkiError(
      'CERTIFICATE_MALFORMED',
      'the intermediate certificate was not signed by a root of the certificate authority',
      { cause },
    )
  }
}

/**
 * The identity that a workload's request asks for: a caller compares it with what the asking node may have.
 * @throws CodedError CSR_REFUSED unless the request has an empty subject and exactly one name, a SPIFFE id of Istio's form
 */
export function requestedIdentity(csr: ParsedCsr): SpiffeId {
  const { subject, uriNames, otherNames } = csr
  if (subject.commonName !== undefined || subject.organizations?.length) {
    throw pkiError('CSR_REFUSED', 'certificate request refused: the subject of a workload must be empty')
  }
  if (uriNames.length !== 1 || otherNames !== 0) {
    throw pkiError(
      'CSR_REFUSED',
      `certificate request refused: ${uriNames.length + otherNames} names instead of one URI`,
    )
  }
  try {
    return parseSpiffeId(uriNames[0]!)
  } catch (cause) {
    throw pkiError('CSR_REFUSED', `certificate request refused: ${(cause as Error).message}`, { cause })
  }
}
