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

/** What the official suite makes besides its manifests; no handshake needs the certificates to fit their names here. */
export function suiteObjects({ certificatePem, keyPem }: { certificatePem: string; keyPem: string }): Typed[] {
  const text = (value: string) => Buffer.from(value).toString('base64')
  const data = { 'tls.crt': text(certificatePem), 'tls.key': text(keyPem) }
  return [
    ...KEY_PAIRS.map(([namespace, name]): Typed => [SECRETS, { ...core('Secret', namespace, name), data }]),
    ...AUTHORITIES.map(([namespace, name]): Typed => {
      return [CONFIG_MAPS, { ...core('ConfigMap', namespace, name), data: { 'ca.crt': certificatePem } }]
    }),
  ]
}

function core(kind: string, namespace: string, name: string): Resource {
  return { apiVersion: 'v1', kind, metadata: { name, namespace } }
}
