import type { AuthorizationPolicy } from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import { ztunnelAccepted } from '../controllers/policy-status.ts'
import { MESH_CONFIG_DEFAULT } from '../mesh-config.ts'
import { convertAuthorizationPolicy, isForZtunnel } from './authorization.ts'

const DRY = { 'istio.io/dry-run': 'true' }

function policy(spec: object, annotations: Record<string, string> = {}): AuthorizationPolicy {
  const metadata = { name: 'p', namespace: 'default', annotations }
  return { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata, spec } as AuthorizationPolicy
}

const FLAG_NEEDED = /unless AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY is set/

describe('what ztunnels are sent of a policy', () => {
  it.each([
    ['an ALLOW', policy({ rules: [{}] }), false, { dryRun: false }, /^attached to ztunnel$/],
    ['an AUDIT', policy({ action: 'AUDIT' }), false, undefined, /^ztunnel does not support the AUDIT action$/],
    ['an AUDIT, with the flag', policy({ action: 'AUDIT' }), true, undefined, /does not support the AUDIT action/],
    ['a DENY in dry run', policy({ action: 'DENY', rules: [{}] }, DRY), false, undefined, FLAG_NEEDED],
    ['the same with the flag', policy({ action: 'DENY', rules: [{}] }, DRY), true, { dryRun: true }, /^attached/],
    ['an ALLOW in dry run, with the flag', policy({ rules: [{}] }, DRY), true, { dryRun: true }, /^attached/],
    [
      'a dry run that is off, with the flag',
      policy({ rules: [{}] }, { 'istio.io/dry-run': 'false' }),
      true,
      { dryRun: false },
      /^attached/,
    ],
    [
      'a dry run of a waypoint’s, with the flag',
      policy({ targetRefs: [{ group: '', kind: 'Service', name: 'web' }] }, DRY),
      true,
      undefined,
      /^attached/,
    ],
  ] as const)('%s', (_, asked, dryRunAtZtunnel, sent, message) => {
    const mesh = { ...MESH_CONFIG_DEFAULT, dryRunAtZtunnel }
    const { authorization } = convertAuthorizationPolicy(asked, mesh)
    if (sent) expect(authorization).toMatchObject(sent)
    else expect(authorization).toBeUndefined()
    expect(isForZtunnel(asked, mesh)).toBe(sent !== undefined)
    expect(ztunnelAccepted(asked, mesh).message).toMatch(message)
  })
})
