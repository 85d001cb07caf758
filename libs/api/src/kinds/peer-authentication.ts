import { WORKLOAD_SELECTOR, type WorkloadSelector } from '../istio-fields.ts'
import { isPortText } from '../istio-names.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { map, object, oneOf, STATUS, withRules } from '../schema.ts'

export interface MutualTls {
  readonly mode?: 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT'
}

export interface PeerAuthenticationSpec {
  readonly selector?: WorkloadSelector
  readonly mtls?: MutualTls
  /** By the workload's port, never the service's. */
  readonly portLevelMtls?: Readonly<Record<string, MutualTls>>
}

export type PeerAuthentication = Resource<PeerAuthenticationSpec>

const MTLS = object({ mode: oneOf('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT') })

const PORT_LEVEL_MTLS = withRules<Readonly<Record<string, MutualTls>>>(
  { ...map(MTLS), minProperties: 1 },
  { 'port must be between 1-65535': (ports) => Object.keys(ports).every(isPortText) },
)

export default defineKind<PeerAuthentication>({
  group: 'security.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1'],
  kind: 'PeerAuthentication',
  plural: 'peerauthentications',
  shortNames: ['pa'],
  categories: ['istio-io', 'security-istio-io'],
  scope: 'Namespaced',
  schema: object({
    spec: object({ selector: WORKLOAD_SELECTOR, mtls: MTLS, portLevelMtls: PORT_LEVEL_MTLS }),
    status: STATUS,
  }),
  columns: [{ title: 'MODE', value: ({ spec }) => spec?.mtls?.mode ?? '' }],
  validate: ({ spec }) =>
    spec?.portLevelMtls && Object.keys(spec.selector?.matchLabels ?? {}).length === 0
      ? [{ path: 'spec.portLevelMtls', message: 'Invalid value: needs a selector' }]
      : [],
})
