import {
  checkServerIdentity,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
  connect as tlsConnect,
} from 'node:tls'
import { CodedError, errorMessage } from '@ambient-lab/std'
import type { UpstreamTls } from '@ambient-lab/xds'
import type { ByteStream } from '../../stream/byte-stream.ts'
import { NodeStream } from '../../stream/node-stream.ts'
import { StreamDuplex } from '../../stream/stream-duplex.ts'

/** TLS that the proxy itself speaks to the hosts of a cluster, as a DestinationRule or a BackendTLSPolicy wants it. */
export class TlsOrigination {
  readonly #tls: UpstreamTls
  readonly #context: SecureContext

  /** @throws CodedError CERTIFICATE_MALFORMED */
  constructor(tls: UpstreamTls) {
    this.#tls = tls
    this.#context = contextOf(tls)
  }

  /**
   * @param protocols for ALPN, the best first
   * @param signal ends a handshake that takes too long
   * @throws CodedError TLS_FAILED when the host is not who it should be or speaks no TLS; the signal's reason
   */
  start(stream: ByteStream, protocols: readonly string[], signal: AbortSignal): Promise<ByteStream> {
    const { sni, insecureSkipVerify } = this.#tls
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        stream.reset(signal.reason as CodedError)
        return reject(signal.reason)
      }
      const socket = tlsConnect({
        socket: new StreamDuplex(stream),
        secureContext: this.#context,
        ALPNProtocols: [...protocols],
        rejectUnauthorized: !insecureSkipVerify,
        checkServerIdentity: (_, certificate) => this.#identityProblem(certificate),
        ...(sni && { servername: sni }),
      })
      const fail = (reason: CodedError) => {
        signal.removeEventListener('abort', onAbort)
        socket.destroy()
        reject(reason)
      }
      const onAbort = () => fail(signal.reason as CodedError)
      const onError = (cause: Error) => fail(tlsFailed(errorMessage(cause), cause))
      const onClose = () => fail(tlsFailed('the connection was closed'))
      signal.addEventListener('abort', onAbort, { once: true })
      socket.once('error', onError).once('close', onClose)
      socket.once('secureConnect', () => {
        signal.removeEventListener('abort', onAbort)
        socket.off('error', onError).off('close', onClose)
        resolve(new NodeStream(socket))
      })
    })
  }

  /** Of several names one is enough; without any the server name counts, and without that nothing. */
  #identityProblem(certificate: PeerCertificate): Error | undefined {
    const { subjectAltNames, sni } = this.#tls
    if (subjectAltNames.length === 0) return sni ? checkServerIdentity(sni, certificate) : undefined
    const isOneOfThem = subjectAltNames.some((name) =>
      name.includes('://')
        ? certificate.subjectaltname?.split(', ').includes(`URI:${name}`)
        : checkServerIdentity(name, certificate) === undefined,
    )
    return isOneOfThem ? undefined : new Error(`none of ${subjectAltNames.join(', ')} is a name of the certificate`)
  }
}

function contextOf({ caPem, certificatePem, keyPem }: UpstreamTls): SecureContext {
  try {
    return createSecureContext({
      // An empty list of roots trusts nobody; no list, those of the system.
      ...(caPem !== undefined && { ca: caPem === '' ? [] : caPem }),
      ...(certificatePem && keyPem && { cert: certificatePem, key: keyPem }),
    })
  } catch (cause) {
    throw new CodedError('CERTIFICATE_MALFORMED', errorMessage(cause), { cause })
  }
}

function tlsFailed(message: string, cause?: Error): CodedError {
  return new CodedError('TLS_FAILED', `TLS_error: ${message}`, { origin: 'upstream', ...(cause && { cause }) })
}
