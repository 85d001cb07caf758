import {
  CertificateAuthority,
  type CertificateSigner,
  createCsr,
  formatSpiffeId,
  generateKeyPair,
  type SpiffeId,
  TRUST_DOMAIN_DEFAULT,
  type TrustBundle,
  X509Svid,
} from '@ambient-lab/pki'
import { type Clock, systemClock } from '@ambient-lab/std'

const HOUR_MS = 3_600_000

/** A name as tests write it: `bookinfo/reviews` is namespace and service account. */
export type WorkloadName = `${string}/${string}`

/**
 * Certificates for tests, good ones and bad ones. Making one costs a few milliseconds, so one per test file is the
 * custom: `const certificates = new TestCertificates()` at its top.
 */
export class TestCertificates {
  readonly trustDomain: string
  readonly authority: CertificateAuthority
  readonly #clock: Clock

  constructor(
    init: {
      /** @default the system's */ readonly clock?: Clock /** @default 'cluster.local' */
      readonly trustDomain?: string
    } = {},
  ) {
    this.#clock = init.clock ?? systemClock
    this.trustDomain = init.trustDomain ?? TRUST_DOMAIN_DEFAULT
    this.authority = CertificateAuthority.create({ clock: this.#clock }, { trustDomain: this.trustDomain })
  }

  get bundle(): TrustBundle {
    return this.authority.bundle
  }

  id(name: WorkloadName): SpiffeId {
    const [namespace, serviceAccount] = name.split('/')
    return { trustDomain: this.trustDomain, namespace: namespace!, serviceAccount: serviceAccount! }
  }

  svid(name: WorkloadName, ttlSeconds?: number): X509Svid {
    return issue(this.authority, this.id(name), this.bundle, ttlSeconds)
  }

  /** Right in everything but its dates: it ended an hour ago. */
  expiredSvid(name: WorkloadName): X509Svid {
    return issue(this.#authorityAt(-3 * HOUR_MS), this.id(name), this.bundle, 2 * 3600)
  }

  /** Right in everything but its dates: it begins in an hour. */
  futureSvid(name: WorkloadName): X509Svid {
    return issue(this.#authorityAt(HOUR_MS + 2 * 60_000), this.id(name), this.bundle)
  }

  /** Of the same name, by an authority that nobody here trusts, held by somebody who trusts ours. */
  untrustedSvid(name: WorkloadName): X509Svid {
    const stranger = CertificateAuthority.create({ clock: this.#clock }, { trustDomain: this.trustDomain })
    return issue(stranger, this.id(name), this.bundle)
  }

  /** Signed by our own root, for a workload of another trust domain. */
  otherTrustDomainSvid(name: WorkloadName, trustDomain = 'other.example'): X509Svid {
    const authority = CertificateAuthority.load({ clock: this.#clock }, { ...this.authority.serialize(), trustDomain })
    return issue(authority, { ...this.id(name), trustDomain }, this.bundle)
  }

  /** PEM of a chain and of a key that do not belong together. */
  mismatched(name: WorkloadName): { readonly chainPem: string; readonly privateKeyPem: string } {
    return { chainPem: this.svid(name).chainPem, privateKeyPem: this.svid(name).privateKeyPem }
  }

  /** A signer for a SvidSource that grants whatever it is asked for. */
  signer(): CertificateSigner {
    return { sign: async (csrPem, ttlSeconds) => this.authority.signWorkload(csrPem, ttlSeconds) }
  }

  #authorityAt(offsetMs: number): CertificateAuthority {
    const clock = { now: () => this.#clock.now() + offsetMs }
    return CertificateAuthority.load({ clock }, this.authority.serialize())
  }
}

function issue(authority: CertificateAuthority, id: SpiffeId, bundle: TrustBundle, ttlSeconds?: number): X509Svid {
  const keys = generateKeyPair()
  const { chainPem } = authority.signWorkload(createCsr(keys, { uri: formatSpiffeId(id) }), ttlSeconds)
  return new X509Svid({ chainPem, privateKey: keys.privateKey, bundle })
}
