import type { Resource } from '@ambient-lab/api'
import { CONFIG_MAPS, type KnownType, SECRETS } from '@ambient-lab/control-plane'

type Typed = readonly [KnownType, Resource]

const INFRA = 'gateway-conformance-infra'

/** Secrets of key pairs, by namespace, that the suite makes at its start. */
const KEY_PAIRS: readonly (readonly [namespace: string, name: string])[] = [
  ['gateway-conformance-web-backend', 'certificate'],
  ['gateway-conformance-app-backend', 'tls-passthrough-checks-certificate'],
  ...[
    ...['tls-validity-checks-certificate', 'tls-validity-checks-client-certificate', 'tls-checks-client-certificate'],
    ...['tls-validity-checks-per-port-client-certificate', 'tls-checks-certificate'],
    ...['tls-passthrough-checks-certificate', 'tls-terminate-checks-certificate'],
  ].map((name) => [INFRA, name] as const),
]

/** ConfigMaps with authorities. */
const AUTHORITIES: readonly (readonly [namespace: string, name: string])[] = [
  ['gateway-conformance-web-backend', 'web-backend-cm'],
  ...[
    ...['tls-validity-checks-ca-certificate', 'tls-validity-checks-per-port-ca-certificate'],
    ...['tls-checks-ca-certificate', 'mismatch-ca-certificate'],
  ].map((name) => [INFRA, name] as const),
]

export interface KeyPairPem {
  readonly certificatePem: string
  readonly keyPem: string
}

/** By the name of the Secret or ConfigMap. */
export interface SuiteCertificates {
  keyPair(name: string): KeyPairPem
  authority(name: string): string
}

/** What the official suite makes besides its manifests. */
export function suiteObjects(certificates: SuiteCertificates): Typed[] {
  return [
    ...KEY_PAIRS.map(([namespace, name]): Typed => {
      const { certificatePem, keyPem } = certificates.keyPair(name)
      const data = { 'tls.crt': base64(certificatePem), 'tls.key': base64(keyPem) }
      return [SECRETS, { ...core('Secret', namespace, name), data }]
    }),
    ...AUTHORITIES.map(([namespace, name]): Typed => {
      const data = { 'ca.crt': certificates.authority(name) }
      return [CONFIG_MAPS, { ...core('ConfigMap', namespace, name), data }]
    }),
  ]
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function core(kind: string, namespace: string, name: string): Resource {
  return { apiVersion: 'v1', kind, metadata: { name, namespace } }
}
