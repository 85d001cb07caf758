import type { Pod, Resource } from '@ambient-lab/api'
import { expect, it } from 'vitest'
import { type Enforcement, enforcementOf, type SecurityPolicy } from './enforcement.ts'

function pod(name: string, annotations: Readonly<Record<string, string>>): Pod {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'shop', labels: { app: 'a' }, annotations } }
}

const SIDECAR = pod('with', { 'sidecar.istio.io/status': '{}' })
const AMBIENT = pod('ambient', { 'ambient.istio.io/redirection': 'enabled' })
const BARE = pod('bare', {})

function policy(kind: SecurityPolicy['kind'], accepted?: string): SecurityPolicy {
  const condition = { type: 'ZtunnelAccepted', status: 'True', message: accepted }
  return {
    apiVersion: 'security.istio.io/v1',
    kind,
    metadata: { name: 'p', namespace: 'shop' },
    spec: { selector: { matchLabels: { app: 'a' } } },
    ...(accepted !== undefined && { status: { conditions: [condition] } }),
  } as Resource as SecurityPolicy
}

const NO_EFFECT = 'it will have no effect'
it.each<[string, SecurityPolicy, readonly Pod[], Partial<Enforcement>]>([
  [
    'an L7 policy, sidecars alone',
    policy('AuthorizationPolicy', NO_EFFECT),
    [SIDECAR],
    { state: 'ok', enforcedAt: ['sidecar'] },
  ],
  [
    'an L7 policy, both modes',
    policy('AuthorizationPolicy', NO_EFFECT),
    [SIDECAR, AMBIENT],
    { state: 'PARTLY', enforcedAt: ['sidecar'], code: 'AM0104' },
  ],
  [
    'an L4 policy, both modes',
    policy('AuthorizationPolicy', 'attached to ztunnel'),
    [SIDECAR, AMBIENT],
    { state: 'ok', enforcedAt: ['sidecar', 'ztunnel'] },
  ],
  [
    'an L4 policy, a pod outside',
    policy('AuthorizationPolicy', 'attached to ztunnel'),
    [SIDECAR, BARE],
    { state: 'PARTLY', enforcedAt: ['sidecar'], code: 'AM0101' },
  ],
  ['an L7 policy, no sidecar', policy('AuthorizationPolicy', NO_EFFECT), [AMBIENT], { state: 'NOT ENFORCED' }],
  [
    'a rule for tokens, sidecars alone',
    policy('RequestAuthentication'),
    [SIDECAR],
    { state: 'ok', enforcedAt: ['sidecar'] },
  ],
  [
    'a rule for tokens, both modes',
    policy('RequestAuthentication'),
    [SIDECAR, AMBIENT],
    { state: 'PARTLY', enforcedAt: ['sidecar'] },
  ],
])('%s', (_title, object, pods, expected) => {
  const state = { policies: [object], pods, services: [], serviceEntries: [], gateways: [], routes: [] }
  expect(enforcementOf(object, state)).toMatchObject(expected)
})
