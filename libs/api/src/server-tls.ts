import { array, atMostOneOf, boolean, object, oneOf, STRINGS, string } from './schema.ts'

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

export const SERVER_TLS = atMostOneOf(
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
)
