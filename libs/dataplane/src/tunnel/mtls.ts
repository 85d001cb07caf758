import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import { authorizeLeaf, type ExpectedPeer, peerErrorFromTls, type SpiffeId, type X509Svid } from '@ambient-lab/pki'
import { SECURE_CONTEXTS_MAX } from './limits.ts'

/** Which certificate to present. Both throw when there is none: CERTIFICATE_UNAVAILABLE, SERVER_NAME_UNKNOWN. */
export interface SvidLookup {
  /** Of the workload that dials. */
  clientSvid(source: SpiffeId, signal?: AbortSignal): Promise<X509Svid>
  /** Of the workload that a peer means by its SNI. */
  serverSvid(serverName: string): Promise<X509Svid>
}

/** Secure contexts by certificate. Making one costs as much as a handshake; a certificate serves many connections. */
export class SecureContexts {
  readonly #contexts = new Map<X509Svid, SecureContext>()

  get(svid: X509Svid): SecureContext {
    const known = this.#contexts.get(svid)
    if (known) return known
    const context = createSecureContext({
      key: svid.privateKeyPem,
      cert: svid.chainPem,
      ca: [...svid.bundle.rootsPem],
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384',
    })
    // Certificates rotate: the oldest contexts are those of certificates that nobody presents any more.
    for (const oldest of this.#contexts.keys()) {
      if (this.#contexts.size < SECURE_CONTEXTS_MAX) break
      this.#contexts.delete(oldest)
    }
    this.#contexts.set(svid, context)
    return context
  }
}

/**
 * Decides on the peer of a finished handshake: chain and dates as TLS found them, then identity.
 * @throws CodedError PEER_NO_CERTIFICATE, PEER_UNTRUSTED, PEER_EXPIRED, PEER_NOT_YET_VALID, PEER_NO_IDENTITY,
 *   PEER_WRONG_TRUST_DOMAIN, PEER_UNEXPECTED_SAN, each with ztunnel's text
 */
export function authorizePeer(socket: TLSSocket, expected: ExpectedPeer): SpiffeId {
  const leaf = socket.getPeerX509Certificate()
  if (leaf && !socket.authorized) {
    const error = peerErrorFromTls(socket.authorizationError)
    if (error) throw error
    throw socket.authorizationError
  }
  return authorizeLeaf(leaf, expected)
}
