import type { AuthorizationPolicy, Gateway, Pod, Service } from '@ambient-lab/api'
import { expect, it } from 'vitest'
import { type EnforcementState, enforcementOf } from './enforcement.ts'

const at = { name: 'x', namespace: 'default' }
const condition = (type: string, status: 'True' | 'False', message: string) => ({
  ...{ type, status, message, reason: 'Accepted', lastTransitionTime: '', observedGeneration: 1 },
})
const web = {
  ...{ apiVersion: 'v1', kind: 'Service', metadata: { ...at, name: 'web' }, spec: {} },
  status: { conditions: [condition('istio.io/WaypointBound', 'True', 'attached to waypoint default/waypoint')] },
} as unknown as Service
const waypoint = {
  ...{ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway', metadata: { ...at, name: 'waypoint' } },
  status: { addresses: [{ value: 'a' }], conditions: [condition('Programmed', 'True', '')] },
} as unknown as Gateway
const pod = {
  ...{ apiVersion: 'v1', kind: 'Pod', spec: {} },
  metadata: { ...at, annotations: { 'ambient.istio.io/redirection': 'enabled' } },
} as unknown as Pod
const STATE: EnforcementState = {
  ...{ policies: [], pods: [pod], services: [web], serviceEntries: [], gateways: [waypoint], routes: [] },
}
const AT_WAYPOINT = { targetRefs: [{ group: '', kind: 'Service', name: 'web' }] }
const DRY = { 'istio.io/dry-run': 'true' }

function policy(spec: object, annotations: Record<string, string> = {}): AuthorizationPolicy {
  const accepted = 'targetRefs' in spec ? 'WaypointAccepted' : 'ZtunnelAccepted'
  return {
    ...{ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { ...at, annotations }, spec },
    status: { conditions: [condition(accepted, 'True', 'attached')] },
  } as AuthorizationPolicy
}

it.each([
  ['an ALLOW at a waypoint', policy(AT_WAYPOINT), { state: 'ok', enforcedAt: ['default/waypoint'] }],
  [
    'an AUDIT at a waypoint',
    policy({ ...AT_WAYPOINT, action: 'AUDIT' }),
    {
      ...{ state: 'NOT ENFORCED', enforcedAt: [] },
      note: 'default/waypoint marks what it matches for the access log: without a plugin nobody acts on that',
    },
  ],
  [
    'a DENY at a waypoint in dry run',
    policy({ ...AT_WAYPOINT, action: 'DENY' }, DRY),
    {
      ...{ state: 'NOT ENFORCED', enforcedAt: [] },
      note: 'default/waypoint asks it in dry run: what it would do is noted, and not done',
    },
  ],
  ['one whose dry run is off', policy(AT_WAYPOINT, { 'istio.io/dry-run': 'false' }), { state: 'ok' }],
  ['a DENY at ztunnel', policy({ action: 'DENY' }), { state: 'ok', enforcedAt: ['ztunnel'] }],
  ['a DENY at ztunnel in dry run', policy({ action: 'DENY' }, DRY), { state: 'NOT ENFORCED', enforcedAt: [] }],
])('%s', (_, asked, enforcement) => {
  expect(enforcementOf(asked, STATE)).toMatchObject(enforcement)
})
