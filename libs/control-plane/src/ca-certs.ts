import type { X509Certificate } from 'node:crypto'
import type { Secret } from '@ambient-lab/api'
import {
  CertificateAuthority,
  type PluggedAuthority,
  parseCertificates,
  parseRevocationLists,
  type RevocationList,
} from '@ambient-lab/pki'
import { type Clock, CodedError, errorMessage } from '@ambient-lab/std'

/** Istio's name for the Secret with the authority of a mesh, in the root namespace. */
export const CA_CERTS_SECRET = 'cacerts'

/** Keys of the Secret: the first five are Istio's, the others are of rotations that the lab carries out. */
const KEYS = {
  certificate: 'ca-cert.pem',
  key: 'ca-key.pem',
  chain: 'cert-chain.pem',
  roots: 'root-cert.pem',
  revocationLists: 'ca-crl.pem',
  formerCertificates: 'former-ca-cert.pem',
  nextCertificate: 'next-ca-cert.pem',
  nextKey: 'next-ca-key.pem',
} as const

/** The authority of a mesh: who signs, who is trusted, and what was taken back. */
export interface CaCerts {
  readonly authority: CertificateAuthority
  /** Those that signed before: certificates of theirs may be in use, and their revocation lists count. */
  readonly former: readonly X509Certificate[]
  readonly revocationLists: readonly RevocationList[]
  /** Trusted already, and about to sign. */
  readonly next: CertificateAuthority | undefined
}

interface Components {
  readonly clock: Pick<Clock, 'now'>
}

/**
 * @param trustDomain the mesh's: the Secret does not say it
 * @throws CodedError CA_CERTS_INVALID, naming the key
 */
export function readCaCerts({ data = {} }: Secret, trustDomain: string, components: Components): CaCerts {
  const text = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString('utf8')
  const certificates = (key: string) => (text(key).trim() === '' ? [] : named(key, () => parseCertificates(text(key))))
  const rootsPem = certificates(required(data, KEYS.roots)).map(String)
  const plugIn = (keys: { certificate: string; key: string }, chain: readonly X509Certificate[]) =>
    named(keys.certificate, () =>
      CertificateAuthority.plugIn(components, {
        trustDomain,
        rootsPem,
        chainPem: chain.map(String),
        keyPem: text(keys.key),
      }),
    )
  const signing = certificates(required(data, KEYS.certificate))
  required(data, KEYS.key)
  const authority = plugIn(KEYS, distinct([...signing, ...certificates(KEYS.chain)]))
  const former = certificates(KEYS.formerCertificates)
  const coming = certificates(KEYS.nextCertificate)
  const next = { certificate: KEYS.nextCertificate, key: KEYS.nextKey }
  return {
    authority,
    former,
    revocationLists: named(KEYS.revocationLists, () =>
      text(KEYS.revocationLists).trim() === ''
        ? []
        : parseRevocationLists(text(KEYS.revocationLists), listIssuers({ authority, former })),
    ),
    next: coming.length > 0 ? plugIn(next, coming) : undefined,
  }
}

/** The `data` of the Secret. */
export function writeCaCerts({ authority, former, revocationLists, next }: CaCerts): Readonly<Record<string, string>> {
  const plugged = authority.plugged()
  const coming: Partial<PluggedAuthority> = next?.plugged() ?? {}
  const texts: Record<string, string> = {
    [KEYS.certificate]: plugged.chainPem[0]!,
    [KEYS.key]: plugged.keyPem,
    [KEYS.chain]: plugged.chainPem.join(''),
    [KEYS.roots]: authority.rootsPem.join(''),
    [KEYS.revocationLists]: revocationLists.map(({ pem }) => pem).join(''),
    [KEYS.formerCertificates]: former.map(String).join(''),
    [KEYS.nextCertificate]: coming.chainPem?.join('') ?? '',
    [KEYS.nextKey]: coming.keyPem ?? '',
  }
  const kept = Object.entries(texts).filter(([, text]) => text !== '')
  return Object.fromEntries(kept.map(([key, text]) => [key, Buffer.from(text).toString('base64')]))
}

/** Whose revocation lists are believed. */
export function listIssuers({ authority, former }: Pick<CaCerts, 'authority' | 'former'>): X509Certificate[] {
  return distinct([authority.signer, ...authority.chain, ...former, ...authority.bundle.roots])
}

function distinct(certificates: readonly X509Certificate[]): X509Certificate[] {
  return [...new Map(certificates.map((certificate) => [certificate.fingerprint256, certificate])).values()]
}

function required(data: Readonly<Record<string, string>>, key: string): string {
  if (!data[key]) throw invalid(key, 'is missing')
  return key
}

function named<T>(key: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw invalid(key, errorMessage(error), error)
  }
}

function invalid(key: string, why: string, cause?: unknown): CodedError {
  return new CodedError('CA_CERTS_INVALID', `${key}: ${why}`, { cause })
}
