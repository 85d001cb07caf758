import { expect } from 'vitest'
import type { Ground } from '../ztunnel/two-nodes.conformance.ts'
import { clusterOfPod, forwardRoute, waypointTest } from './mesh-with-waypoint.conformance.ts'

/** Of a waypoint: who is let in. */
export function describeAdmission(makeGround: () => Ground): void {
  const it = waypointTest(makeGround)

  it('refuses what policies deny, by method and path and identity', async ({ mesh }) => {
    const match = { methods: [{ exact: 'POST' }], paths: [{ prefix: '/admin' }] }
    const clauses = [{ part: 'to' as const, matches: [match] }]
    const base = { namespace: 'default', dryRun: false }
    const deny = { ...base, name: 'deny-admin', action: 'DENY' as const, rules: [{ index: 0, clauses }] }
    mesh.routes([forwardRoute()], { authorization: [deny] })
    expect(await mesh.get('/admin/x', [], 'POST')).toMatchObject({ status: 403, body: 'RBAC: access denied' })
    expect(await mesh.get('/admin/x')).toMatchObject({ status: 200 })
    const stranger = [{ part: 'from' as const, matches: [{ principals: [{ exact: 'cluster.local/ns/x/sa/y' }] }] }]
    const allow = { ...base, name: 'allow-x', action: 'ALLOW' as const, rules: [{ index: 0, clauses: stranger }] }
    mesh.routes([forwardRoute()], { authorization: [allow] })
    expect(await mesh.get()).toMatchObject({ status: 403 })
    expect(mesh.lines).toEqual([
      '403 - rbac_access_denied_matched_policy[ns[default]-policy[deny-admin]-rule[0]]',
      '200 - via_upstream',
      '403 - rbac_access_denied_matched_policy[none]',
    ])
    expect(mesh.requests).toHaveLength(1)
  })

  it('refuses a bad token, and lets a request without one pass', async ({ mesh }) => {
    const provider = {
      name: 'origins-0',
      issuer: 'issuer@example.com',
      audiences: [],
      keys: { inline: '{"keys":[]}' },
      keysTimeoutMs: 1000,
      from: { headers: [{ name: 'authorization', prefix: 'Bearer ' }], params: [], cookies: [] },
      forwardOriginalToken: false,
      outputClaimToHeaders: [],
      spaceDelimitedClaims: [],
    }
    mesh.routes([forwardRoute()], { jwt: { providers: [provider] } })
    const refused = await mesh.get('/', ['authorization: Bearer nonsense'])
    expect(refused).toMatchObject({
      status: 401,
      body: 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections',
    })
    expect(refused.headers['www-authenticate']).toBe('Bearer realm="http://web/", error="invalid_token"')
    expect(await mesh.get()).toMatchObject({ status: 200 })
    expect(mesh.lines[0]).toMatch(/^401 - jwt_authn_access_denied\{Jwt_is_not_in_the_form/)
  })

  it('asks an external authorizer about what a CUSTOM policy matches', async ({ mesh }) => {
    mesh.cluster(clusterOfPod('web', 0))
    mesh.cluster(clusterOfPod('authz', 1))
    mesh.servers[1].handler = ({ head }) =>
      head.headers.get('x-user') === 'ann'
        ? { headers: [['x-checked', 'yes']] }
        : { status: 401, body: 'who are you?', headers: [['x-why', 'unknown']] }
    const clauses = [{ part: 'to' as const, matches: [{ paths: [{ prefix: '/guarded' }] }] }]
    const custom = {
      name: 'ask',
      namespace: 'default',
      action: 'CUSTOM' as const,
      provider: { name: 'authz' },
      rules: [{ index: 0, clauses }],
      dryRun: false,
    }
    const authz = {
      provider: 'authz',
      protocol: 'http' as const,
      cluster: 'authz',
      authority: 'authz.default',
      timeoutMs: 500,
      failOpen: false,
      statusOnError: 403,
      clearRouteCache: false,
      http: {
        pathPrefix: '/check',
        requestHeaders: ['x-user'],
        additionalHeaders: [],
        upstreamOnAllow: ['x-checked'],
        downstreamOnDeny: ['x-w*'],
        downstreamOnAllow: [],
      },
    }
    mesh.routes([forwardRoute()], { authorization: [custom], extAuthz: [authz] })
    expect(await mesh.get('/open')).toMatchObject({ status: 200 })
    const refused = await mesh.get('/guarded/x?y')
    expect(refused).toMatchObject({ status: 401, body: 'who are you?', headers: { 'x-why': 'unknown' } })
    expect(await mesh.get('/guarded/x', ['x-user: ann'])).toMatchObject({ status: 200 })
    expect(mesh.servers[1].requests.map(({ head }) => head.path)).toEqual(['/check/guarded/x?y', '/check/guarded/x'])
    expect(mesh.servers[0].requests.at(-1)!.head.headers.get('x-checked')).toBe('yes')
    mesh.servers[1].handler = () => 'silence'
    expect(await mesh.get('/guarded/x', ['x-user: ann'])).toMatchObject({ status: 403, body: '' })
    expect(mesh.lines).toEqual([
      '200 - via_upstream',
      '401 UAEX ext_authz_denied',
      '200 - via_upstream',
      '403 UAEX ext_authz_error',
    ])
  })

  it('answers preflights, and tells a browser what it may read', async ({ mesh }) => {
    const cors = {
      allowOrigins: [{ exact: 'https://shop.example' }, { regex: 'https://.*[.]trusted[.]example' }],
      allowMethods: ['GET', 'PUT'],
      allowHeaders: ['x-one'],
      exposeHeaders: ['x-two'],
      maxAgeSeconds: 60,
      allowCredentials: true,
      forwardUnmatchedPreflights: false,
    }
    mesh.routes([forwardRoute({ filters: { cors } })])
    const preflight = (origin: string) =>
      mesh.get('/', [`origin: ${origin}`, 'access-control-request-method: PUT'], 'OPTIONS')
    const allowed = {
      'access-control-allow-origin': 'https://a.trusted.example',
      'access-control-allow-methods': 'GET,PUT',
      'access-control-allow-headers': 'x-one',
      'access-control-max-age': '60',
      'access-control-allow-credentials': 'true',
    }
    expect(await preflight('https://a.trusted.example')).toMatchObject({ status: 200, headers: allowed })
    const stranger = await preflight('https://evil.example')
    expect(stranger.headers['access-control-allow-origin']).toBeUndefined()
    const simple = await mesh.get('/', ['origin: https://shop.example'])
    expect(simple.headers).toMatchObject({
      'access-control-allow-origin': 'https://shop.example',
      'access-control-expose-headers': 'x-two',
    })
    expect(mesh.requests).toHaveLength(1)
  })
}
