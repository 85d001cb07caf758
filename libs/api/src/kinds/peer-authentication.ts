import { WORKLOAD_SELECTOR, type WorkloadSelector } from '../istio-fields.ts'
import { defineKind } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { map, object, oneOf, STATUS } from '../schema.ts'

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
    spec: object({ selector: WORKLOAD_SELECTOR, mtls: MTLS, portLevelMtls: map(MTLS) }),
    status: STATUS,
  }),
  columns: [{ title: 'MODE', value: ({ spec }) => spec?.mtls?.mode ?? '' }],
  validate: ({ spec }) =>
    spec?.portLevelMtls && Object.keys(spec.selector?.matchLabels ?? {}).length === 0
      ? [{ path: 'spec.portLevelMtls', message: 'Invalid value: needs a selector' }]
      : [],
})
