import { checkServerIdentity, connect, createSecureContext, type PeerCertificate, type SecureContext } from 'node:tls'
import { CodedError, errorMessage } from '@ambient-lab/std'
import type { UpstreamTls } from '@ambient-lab/xds'
import type { ByteStream } from '../../stream/byte-stream.ts'
import { CONNECT_FAILED } from '../../stream/errors.ts'
import { NodeStream } from '../../stream/node-stream.ts'
import { StreamDuplex } from '../../stream/stream-duplex.ts'

export interface UpstreamTlsInit {
  /** Address or name of the endpoint: whose certificate it has to be where the cluster names nobody. */
  readonly host: string
  /** What is offered in ALPN; empty: nothing, as Istio does for HTTP/1.1. */
  readonly protocols: readonly string[]
  readonly signal: AbortSignal
}

/** Whether the cluster asks for TLS of its own; ISTIO_MUTUAL is what the tunnel to a workload is already. */
export function needsTls(tls: UpstreamTls | undefined): tls is UpstreamTls {
  return tls !== undefined && tls.mode !== 'ISTIO_MUTUAL'
}

/**
 * TLS to an endpoint, over whatever leads there. The stream is the callee's from now on, and gone when this fails.
 * @throws CodedError CONNECT_FAILED, the signal's reason
 */
export function secureUpstream(
  stream: ByteStream,
  tls: UpstreamTls,
  { host, protocols, signal }: UpstreamTlsInit,
): Promise<ByteStream> {
  const { sni = '', insecureSkipVerify } = tls
  const socket = connect({
    socket: new StreamDuplex(stream),
    secureContext: contextOf(tls),
    servername: sni,
    ALPNProtocols: [...protocols],
    rejectUnauthorized: !insecureSkipVerify,
    checkServerIdentity: (_name, certificate) => checkNames(certificate, namesOf(tls, host)),
  })
  return new Promise((resolve, reject) => {
    const onAbort = () => socket.destroy(signal.reason)
    const onError = (error: Error) => {
      signal.removeEventListener('abort', onAbort)
      reject(signal.aborted ? signal.reason : tlsFailed(error))
    }
    const onClose = () => onError(new Error('the connection was closed during the handshake'))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', onError).on('close', onClose)
    socket.once('secureConnect', () => {
      signal.removeEventListener('abort', onAbort)
      const secured = new NodeStream(socket)
      socket.off('error', onError).off('close', onClose)
      resolve(secured)
    })
    if (signal.aborted) onAbort()
  })
}

/** Whether connections could be made with it. @throws CodedError CERTIFICATE_MALFORMED */
export function checkUpstreamTls(tls: UpstreamTls): void {
  if (needsTls(tls)) contextOf(tls)
}

/**
 * Any one of the names will do: DNS names and addresses as RFC 9525 compares them, `spiffe://` and other URIs as they are.
 * @returns what is wrong
 */
export function checkNames(certificate: PeerCertificate, names: readonly string[]): Error | undefined {
  const alternatives = certificate.subjectaltname?.split(', ') ?? []
  const isFor = (name: string) => {
    return name.includes('://') ? alternatives.includes(`URI:${name}`) : !checkServerIdentity(name, certificate)
  }
  if (names.some(isFor)) return undefined
  return new Error(`the certificate is for ${certificate.subjectaltname ?? 'nobody'}, not for ${names.join(', ')}`)
}

function namesOf({ subjectAltNames, sni }: UpstreamTls, host: string): readonly string[] {
  return subjectAltNames.length > 0 ? subjectAltNames : [sni || host]
}

const contexts = new WeakMap<UpstreamTls, SecureContext>()

function contextOf(tls: UpstreamTls): SecureContext {
  const known = contexts.get(tls)
  if (known) return known
  const { caPem, certificatePem, keyPem } = tls
  try {
    const context = createSecureContext({
      minVersion: 'TLSv1.2',
      // An empty text trusts nobody, where Node would take it for its own roots.
      ...(caPem !== undefined && { ca: caPem === '' ? [] : caPem }),
      ...(certificatePem !== undefined && { cert: certificatePem }),
      ...(keyPem !== undefined && { key: keyPem }),
    })
    contexts.set(tls, context)
    return context
  } catch (cause) {
    throw new CodedError('CERTIFICATE_MALFORMED', errorMessage(cause), { cause })
  }
}

function tlsFailed(cause: Error): CodedError {
  return new CodedError(CONNECT_FAILED, `TLS error: ${cause.message}`, { origin: 'upstream', cause })
}
