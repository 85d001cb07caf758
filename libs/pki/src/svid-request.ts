import { type Clock, formatDuration } from '@ambient-lab/std'
import { createCsr } from './csr.ts'
import { pkiError } from './errors.ts'
import { generateKeyPair } from './keys.ts'
import { SVID_FETCH_TIMEOUT_MS } from './limits.ts'
import { formatSpiffeId, type SpiffeId, sameSpiffeId } from './spiffe-id.ts'
import { TrustBundle } from './trust-bundle.ts'
import { verifyChain, X509Svid } from './x509-svid.ts'

export interface SignedCertificate {
  /** Leaf first, then intermediates; PEM. */
  readonly chainPem: readonly string[]
  /** Every root that is trusted now; PEM. */
  readonly rootsPem: readonly string[]
}

/** Whoever turns a request into a certificate: the control plane over the agent's link, or an authority in this process. */
export interface CertificateSigner {
  /** @param signal aborts when the identity was forgotten or the answer took too long */
  sign(csrPem: string, ttlSeconds: number, signal: AbortSignal): Promise<SignedCertificate>
}

/**
 * One certificate: a fresh key, a request, and an answer that is believed only after it was checked.
 * @param init.abort aborted by us when the answer takes too long
 * @throws CodedError CERTIFICATE_FETCH_TIMEOUT, NO_ROOT_CERTIFICATE, SVID_KEY_MISMATCH, SVID_UNEXPECTED_SAN, those of
 *   verifyChain, and whatever the signer throws
 */
export async function requestSvid(
  { clock, signer }: { readonly clock: Clock; readonly signer: CertificateSigner },
  { id, ttlSeconds, abort }: { readonly id: SpiffeId; readonly ttlSeconds: number; readonly abort: AbortController },
): Promise<X509Svid> {
  const keys = generateKeyPair()
  const csrPem = createCsr(keys, { uri: formatSpiffeId(id) })
  const late = pkiError('CERTIFICATE_FETCH_TIMEOUT', `no answer within ${formatDuration(SVID_FETCH_TIMEOUT_MS)}`)
  const cancelTimeout = clock.schedule(SVID_FETCH_TIMEOUT_MS, () => abort.abort(late), { background: true })
  try {
    const { chainPem, rootsPem } = await abortable(signer.sign(csrPem, ttlSeconds, abort.signal), abort.signal)
    const bundle = TrustBundle.parse(id.trustDomain, rootsPem)
    const svid = new X509Svid({ chainPem, privateKey: keys.privateKey, bundle })
    if (!sameSpiffeId(svid.id, id)) {
      throw pkiError('SVID_UNEXPECTED_SAN', `asked for ${formatSpiffeId(id)}, got ${formatSpiffeId(svid.id)}`)
    }
    verifyChain(svid.chain, bundle, clock.now())
    return svid
  } finally {
    cancelTimeout()
  }
}

/** The promise's outcome, or the signal's reason if that comes first. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
