import type { HttpAuthorization, HttpAuthorizationMatch } from '@ambient-lab/policy'
import type { Checkpoint } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { memoryGround } from '../ztunnel/memory-ground.conformance.ts'
import { forwardRoute, MeshWithWaypoint } from './mesh-with-waypoint.conformance.ts'

let mesh: MeshWithWaypoint

const RBAC = 'envoy.filters.http.rbac:istio_dry_run'
const FORMAT = [
  '%RESPONSE_CODE%',
  '%DYNAMIC_METADATA(envoy.common:access_log_hint)%',
  `%DYNAMIC_METADATA(${RBAC}_deny_shadow_engine_result)%`,
  `%DYNAMIC_METADATA(${RBAC}_deny_shadow_effective_policy_id)%`,
  `%DYNAMIC_METADATA(${RBAC}_allow_shadow_engine_result)%`,
  '%DYNAMIC_METADATA(a.filter:that.nobody:knows)%',
].join(' ')

beforeEach(async () => {
  mesh = new MeshWithWaypoint(memoryGround())
  await mesh.start()
  mesh.proxy({ accessLog: { enabled: true, encoding: 'TEXT', format: FORMAT } })
})
afterEach(() => mesh.stop())

const get: HttpAuthorizationMatch = { methods: [{ exact: 'GET' }] }
const post: HttpAuthorizationMatch = { methods: [{ exact: 'POST' }] }

const policy = (
  action: HttpAuthorization['action'],
  match: HttpAuthorizationMatch,
  dryRun = false,
): HttpAuthorization => ({
  ...{ name: action.toLowerCase(), namespace: 'ns', action, dryRun },
  rules: [{ index: 0, clauses: [{ part: 'to', matches: [match] }] }],
})

async function reviewed(): Promise<readonly Checkpoint[]> {
  const { serial } = mesh.waypoint.requests({}).requests.at(-1)!
  return (await mesh.waypoint.review({ at: 'request', uid: 'Kubernetes//Pod/default/waypoint', serial })).checkpoints
}

/** What a GET is answered, the line about it, and what a review says besides the verdict. */
const NOTED: readonly (readonly [string, readonly HttpAuthorization[], string, readonly Partial<Checkpoint>[]])[] = [
  ['nothing', [], '200 - - - - -', []],
  [
    'an AUDIT that matches',
    [policy('AUDIT', get)],
    '200 true - - - -',
    [{ point: 'audit', verdict: 'ok', reason: 'ns/audit matches: marked for the access log, not stopped' }],
  ],
  [
    'an AUDIT of something else',
    [policy('AUDIT', post)],
    '200 false - - - -',
    [{ point: 'audit', verdict: 'skipped', reason: 'no AUDIT policy matches' }],
  ],
  ['an AUDIT of what is denied', [policy('AUDIT', get), policy('DENY', get)], '403 true - - - -', [{ point: 'audit' }]],
  [
    'a DENY in dry run that matches',
    [policy('DENY', get, true)],
    '200 - denied ns[ns]-policy[deny]-rule[0] - -',
    [{ point: 'dry-run', reason: 'not enforced: DENY ns[ns]-policy[deny]-rule[0] would refuse it' }],
  ],
  [
    'a DENY in dry run of something else',
    [policy('DENY', post, true)],
    '200 - allowed - - -',
    [{ point: 'dry-run', reason: 'not enforced: no DENY would refuse it' }],
  ],
  [
    'an ALLOW in dry run of something else',
    [policy('ALLOW', post, true)],
    '200 - - - denied -',
    [{ point: 'dry-run', reason: 'not enforced: no ALLOW would let it in' }],
  ],
  [
    'both in dry run',
    [policy('ALLOW', get, true), policy('DENY', post, true)],
    '200 - allowed - allowed -',
    [
      {
        point: 'dry-run',
        reason: 'not enforced: no DENY would refuse it; ALLOW ns[ns]-policy[allow]-rule[0] would let it in',
      },
    ],
  ],
]

describe('policies that decide nothing', () => {
  it.each(NOTED)('%s: noted in the log and in a review', async (_, authorization, line, noted) => {
    mesh.routes([forwardRoute()], { authorization })
    await mesh.get()
    expect(mesh.lines).toEqual([line])
    const found = (await reviewed()).filter(({ point }) => point === 'audit' || point === 'dry-run')
    expect(found).toMatchObject(noted)
  })

  it('are counted where they are in dry run, by Istio’s names', async () => {
    mesh.routes([forwardRoute()], { authorization: [policy('DENY', get, true), policy('ALLOW', post, true)] })
    await mesh.get()
    await mesh.get('/', [], 'POST')
    const series = mesh.metrics
      .expose()
      .split('\n')
      .filter((text) => text.startsWith('envoy_http_'))
    expect(series).toEqual([
      'envoy_http_web_rbac{authz_dry_run_action="deny",authz_dry_run_result="denied"} 1',
      'envoy_http_web_rbac{authz_dry_run_action="allow",authz_dry_run_result="denied"} 1',
      'envoy_http_web_rbac{authz_dry_run_action="deny",authz_dry_run_result="allowed"} 1',
      'envoy_http_web_rbac{authz_dry_run_action="allow",authz_dry_run_result="allowed"} 1',
    ])
  })
})
