import type { X509Certificate } from 'node:crypto'
import { type CodedError, errorCode, errorMessage } from '@ambient-lab/std'
import { type PkiErrorCode, pkiError } from './errors.ts'
import { formatSpiffeId, type SpiffeId, sameSpiffeId } from './spiffe-id.ts'
import type { TrustBundle } from './trust-bundle.ts'
import { peerIdentity, verifyChain } from './x509-svid.ts'

/** Whom one end of a tunnel accepts at the other: a client knows whom it dialled, a server only where peers belong. */
export type ExpectedPeer = { readonly identities: readonly SpiffeId[] } | { readonly trustDomain: string }

/**
 * Decides on a peer whose chain nobody has verified yet (the in-memory transport).
 * @param chain leaf first; empty or absent when the peer sent none
 * @throws CodedError PEER_NO_CERTIFICATE, PEER_UNTRUSTED, PEER_EXPIRED, PEER_NOT_YET_VALID, and those of authorizeLeaf
 */
export function authorizeChain(
  chain: readonly X509Certificate[] | undefined,
  check: { readonly bundle: TrustBundle; readonly nowMs: number; readonly expected: ExpectedPeer },
): SpiffeId {
  if (!chain?.length) throw noCertificate()
  verifyChain(chain, check.bundle, check.nowMs)
  return authorizeLeaf(chain[0], check.expected)
}

/**
 * Decides on a peer whose chain TLS has verified: who is it, and do we want it?
 * @returns the peer's identity
 * @throws CodedError PEER_NO_CERTIFICATE, PEER_NO_IDENTITY, PEER_WRONG_TRUST_DOMAIN, PEER_UNEXPECTED_SAN
 */
export function authorizeLeaf(leaf: X509Certificate | undefined, expected: ExpectedPeer): SpiffeId {
  if (!leaf) throw noCertificate()
  const id = peerIdentity(leaf)
  if ('identities' in expected) {
    if (expected.identities.some((candidate) => sameSpiffeId(candidate, id))) return id
    const wanted = expected.identities.map(formatSpiffeId).join(',')
    throw verification(
      'PEER_UNEXPECTED_SAN',
      `peer did not present the expected SAN (${wanted}), got ${formatSpiffeId(id)}`,
    )
  }
  if (id.trustDomain === expected.trustDomain) return id
  throw verification(
    'PEER_WRONG_TRUST_DOMAIN',
    `peer did not present the expected trustdomain (${expected.trustDomain}), got ${formatSpiffeId(id)}`,
  )
}

/** OpenSSL's names for what it did not like about a chain, as node:tls gives them in `code` or `authorizationError`. */
const TLS_CODES: Readonly<Record<string, PkiErrorCode>> = {
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'PEER_NO_CERTIFICATE',
  CERT_HAS_EXPIRED: 'PEER_EXPIRED',
  CERT_NOT_YET_VALID: 'PEER_NOT_YET_VALID',
  UNABLE_TO_GET_ISSUER_CERT: 'PEER_UNTRUSTED',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'PEER_UNTRUSTED',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'PEER_UNTRUSTED',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'PEER_UNTRUSTED',
  SELF_SIGNED_CERT_IN_CHAIN: 'PEER_UNTRUSTED',
  CERT_SIGNATURE_FAILURE: 'PEER_UNTRUSTED',
  CERT_UNTRUSTED: 'PEER_UNTRUSTED',
  CERT_REJECTED: 'PEER_UNTRUSTED',
  CERT_CHAIN_TOO_LONG: 'PEER_UNTRUSTED',
  PATH_LENGTH_EXCEEDED: 'PEER_UNTRUSTED',
  INVALID_CA: 'PEER_UNTRUSTED',
  INVALID_PURPOSE: 'PEER_UNTRUSTED',
}

/** The error of ours for what node:tls said about the peer's certificate; undefined when it is about something else. */
export function peerErrorFromTls(error: unknown): CodedError | undefined {
  const code = TLS_CODES[typeof error === 'string' ? error : (errorCode(error) ?? '')]
  if (code === undefined) return undefined
  if (code === 'PEER_NO_CERTIFICATE') return noCertificate()
  return pkiError(code, `invalid peer certificate: ${errorMessage(error)}`, { origin: 'upstream', cause: error })
}

function noCertificate(): CodedError {
  return pkiError('PEER_NO_CERTIFICATE', 'peer sent no certificates', { origin: 'downstream' })
}

function verification(code: PkiErrorCode, message: string): CodedError {
  return pkiError(code, `identity verification error: ${message}`)
}
