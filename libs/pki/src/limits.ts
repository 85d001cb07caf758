import { KiB } from '@ambient-lab/std'

/** A P-256 request with one SAN is half a KiB of PEM; anything near this bound is not one. */
export const CSR_PEM_BYTES_MAX = 8 * KiB

/** One PEM text with certificates: a bundle of several roots, or a chain. */
export const CERTIFICATES_PEM_BYTES_MAX = 256 * KiB

/** Certificates in one chain, leaf included. */
export const CHAIN_LENGTH_MAX = 8

/** SPIFFE-ID §2.3: an id is at most 2048 bytes, its trust domain at most 255. */
export const SPIFFE_ID_BYTES_MAX = 2048
export const TRUST_DOMAIN_BYTES_MAX = 255

/** How far a certificate is dated back, so that a peer whose clock is slow accepts it at once (istiod: 2 min). */
export const CLOCK_SKEW_GRACE_MS = 2 * 60_000

/** What ztunnel asks for (SECRET_TTL) and istiod gives by default. */
export const SVID_TTL_SECONDS_DEFAULT = 24 * 3600

/** istiod's MAX_WORKLOAD_CERT_TTL. */
export const SVID_TTL_SECONDS_MAX = 90 * 24 * 3600

/** istiod's CITADEL_SELF_SIGNED_CA_CERT_TTL. */
export const CA_TTL_SECONDS = 10 * 365 * 24 * 3600

/** Client and server certificates of the lab's own API: as long as kubeadm's. */
export const API_CERTIFICATE_TTL_SECONDS = 365 * 24 * 3600

/** Requests to the signer under way at once; ztunnel's number. */
export const SVID_FETCHES_MAX = 8

/** A signer that has not answered by then counts as failed. */
export const SVID_FETCH_TIMEOUT_MS = 10_000

/** ztunnel's backoff is 500 ms at failure zero, already doubled when it first waits: the first real wait is 1 s. */
export const SVID_RETRY_MS_FIRST = 1000
export const SVID_RETRY_MS_MAX = 150_000

/** The wall clock is looked at this often while waiting for a rotation, so that a clock that jumped is noticed. */
export const SVID_CLOCK_CHECK_MS = 60_000

/** Least time between two rotations of one identity, whatever the dates in the certificate say. */
export const SVID_ROTATION_MS_MIN = 1000

/** One token: what fits into the header lines that a proxy takes. */
export const JWT_TEXT_MAX = 64 * KiB

/** One JWKS document; those of large identity providers have 2 to 20 KiB. */
export const JWK_SET_BYTES_MAX = 256 * KiB

/** Keys of one set that are looked at: a token without a key id is tried with each. */
export const JWK_SET_KEYS_MAX = 64

/** RFC 7518 §3.3. */
export const RSA_KEY_BITS_MIN = 2048

/** How far an issuer's clock may be off: Envoy's default. */
export const JWT_CLOCK_SKEW_SECONDS = 60

/** How long fetched keys are good for: what istiod configures at Envoy. */
export const JWK_SET_REFRESH_MS = 5 * 60_000

/** One fetch of keys, discovery included: Istio's default. */
export const JWK_SET_FETCH_TIMEOUT_MS = 5000

/** After a failed fetch the next one waits this long, so that requests do not queue up behind a dead server. */
export const JWK_SET_RETRY_MS = 1000

/** How long keys whose refresh fails are still used; without them every request would fail with the issuer's server. */
export const JWK_SET_STALE_MS_MAX = 60 * 60_000

/** Tokens that were verified and are not verified again, of one place. */
export const VERIFIED_TOKENS_MAX = 1000

/** Issuers whose keys one proxy keeps; the ones that were asked for last. */
export const JWK_SET_SOURCES_MAX = 256
