import { array, atMostOneOf, boolean, object, oneOf, STRINGS, string, withRules } from './schema.ts'

export type TlsProtocol = 'TLS_AUTO' | 'TLSV1_0' | 'TLSV1_1' | 'TLSV1_2' | 'TLSV1_3'

/** How a server of Istio's Gateway, or a Sidecar's ingress, takes TLS. */
export interface ServerTlsSettings {
  readonly mode?: 'PASSTHROUGH' | 'SIMPLE' | 'MUTUAL' | 'AUTO_PASSTHROUGH' | 'ISTIO_MUTUAL' | 'OPTIONAL_MUTUAL'
  readonly httpsRedirect?: boolean
  readonly serverCertificate?: string
  readonly privateKey?: string
  readonly caCertificates?: string
  readonly caCrl?: string
  readonly tlsCertificates?: readonly {
    readonly serverCertificate?: string
    readonly privateKey?: string
    readonly caCertificates?: string
  }[]
  /** A Secret. */
  readonly credentialName?: string
  readonly credentialNames?: readonly string[]
  readonly caCertCredentialName?: string
  readonly subjectAltNames?: readonly string[]
  readonly verifyCertificateSpki?: readonly string[]
  readonly verifyCertificateHash?: readonly string[]
  readonly minProtocolVersion?: TlsProtocol
  readonly maxProtocolVersion?: TlsProtocol
  readonly cipherSuites?: readonly string[]
  readonly ecdhCurves?: readonly string[]
  readonly insecureSkipVerify?: boolean
}

const PROTOCOL = oneOf('TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3')

const hasCredential = ({ credentialName, credentialNames }: ServerTlsSettings) =>
  !!credentialName || credentialNames !== undefined
const needsOwn = (tls: ServerTlsSettings) =>
  ['SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL'].includes(tls.mode ?? '') && !hasCredential(tls)

const RULES: Readonly<Record<string, (tls: ServerTlsSettings) => boolean>> = {
  'needs a server certificate and a private key': (tls) =>
    !needsOwn(tls) ||
    (tls.tlsCertificates ?? [tls]).every(({ serverCertificate, privateKey }) => serverCertificate && privateKey),
  'mutual TLS needs a CA bundle for clients': (tls) =>
    !needsOwn(tls) || tls.mode === 'SIMPLE' || !!tls.caCertificates || !!tls.caCertCredentialName,
  'with a credential comes no certificate': (tls) => !hasCredential(tls) || !tls.serverCertificate,
  'ISTIO_MUTUAL takes its certificates from the mesh': (tls) =>
    tls.mode !== 'ISTIO_MUTUAL' ||
    (!tls.serverCertificate && !tls.privateKey && !tls.caCertificates && !hasCredential(tls)),
  'a CRL needs mutual TLS': (tls) => tls.mode !== 'SIMPLE' || !tls.caCrl || hasCredential(tls),
}

export const SERVER_TLS = withRules<ServerTlsSettings>(
  atMostOneOf(
    object({
      caCertCredentialName: string(),
      caCertificates: string(),
      caCrl: string(),
      cipherSuites: STRINGS,
      credentialName: string(),
      credentialNames: array(string(), { minItems: 1, maxItems: 2 }),
      ecdhCurves: STRINGS,
      httpsRedirect: boolean(),
      insecureSkipVerify: boolean({ nullable: true }),
      maxProtocolVersion: PROTOCOL,
      minProtocolVersion: PROTOCOL,
      mode: oneOf('PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL'),
      privateKey: string(),
      serverCertificate: string(),
      subjectAltNames: STRINGS,
      tlsCertificates: array(object({ caCertificates: string(), privateKey: string(), serverCertificate: string() }), {
        minItems: 1,
        maxItems: 2,
      }),
      verifyCertificateHash: STRINGS,
      verifyCertificateSpki: STRINGS,
    }),
    'credentialName',
    'credentialNames',
    'tlsCertificates',
  ),
  RULES,
)
