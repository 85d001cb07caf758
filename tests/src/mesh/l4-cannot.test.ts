import { fileURLToPath } from 'node:url'
import { stringifyYaml } from '@ambient-lab/api'
import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url))
const PATIENCE = { timeoutMs: 30_000 }
const GET = 'http://httpbin:8000/get'

let lab: AmbientLab

/** httpbin in the mesh, and no waypoint anywhere. */
beforeAll(async () => {
  lab = new AmbientLab()
  await lab.ok('up', '--wait')
  await lab.ok('label', 'ns', 'default', 'istio.io/dataplane-mode=ambient')
  await lab.ok('apply', '-f', `${EXAMPLES}/httpbin`, '-f', `${EXAMPLES}/bookinfo/curl.yaml`)
  await lab.ok('wait', 'deploy', '--for', 'condition=Available')
  await eventually(async () => (await status()) === '200', PATIENCE)
})

afterAll(() => lab[Symbol.asyncDispose]())

interface Asked {
  readonly kind:
    | 'AuthorizationPolicy'
    | 'RequestAuthentication'
    | 'HTTPRoute'
    | 'VirtualService'
    | 'DestinationRule'
    | 'RateLimitPolicy'
  readonly spec: object
  /** Arguments of the request that would notice. @default a plain GET */
  readonly request?: readonly string[]
  /** What it gets: as if nobody had asked, or no connection at all. */
  readonly gets: '200' | '000'
  /** The condition in the object's status, and what its author reads there. */
  readonly reads: readonly [condition: string, words: RegExp]
}

const API_VERSIONS: Readonly<Record<Asked['kind'], string>> = {
  AuthorizationPolicy: 'security.istio.io/v1',
  RequestAuthentication: 'security.istio.io/v1',
  HTTPRoute: 'gateway.networking.k8s.io/v1',
  VirtualService: 'networking.istio.io/v1',
  DestinationRule: 'networking.istio.io/v1',
  RateLimitPolicy: 'ambient.lab/v1',
}
const SELECTOR = { matchLabels: { app: 'httpbin' } }
const SERVICE = { group: '', kind: 'Service', name: 'httpbin' }
const FROM_CURL = { source: { principals: ['cluster.local/ns/default/sa/curl'] } }
const BACKEND = { name: 'httpbin', port: 8000 }
const DESTINATION = { destination: { host: 'httpbin' } }
const JWT = { issuer: 'http://issuer.example', jwks: '{"keys":[]}' }

const NO_WAYPOINT = (kind: string) =>
  new RegExp(
    `^False NoWaypoint: Service default/httpbin has no waypoint, and ztunnel does not look into connections, so that this ${kind} has no effect on callers in the mesh\\. Deploy a waypoint proxy and label the service with istio\\.io/use-waypoint\\.$`,
  )
const NOT_BOUND = /^False AncestorNotBound: Service default\/httpbin is not bound to a waypoint$/

describe('what ztunnel cannot do, and what is read about it', () => {
  test.each<[string, Asked]>([
    [
      'authorization by method: an ALLOW loses its rule, and everybody is refused',
      {
        kind: 'AuthorizationPolicy',
        spec: { selector: SELECTOR, rules: [{ to: [{ operation: { methods: ['GET'] } }] }] },
        gets: '000',
        reads: [
          'ZtunnelAccepted',
          /^True UnsupportedValue: ztunnel does not support HTTP attributes \(found: methods\)\. In ambient mode you must use a waypoint proxy .* This will be more restrictive than requested\.$/,
        ],
      },
    ],
    [
      'authorization by method and port: a DENY loses the method, and refuses more',
      {
        kind: 'AuthorizationPolicy',
        spec: {
          selector: SELECTOR,
          action: 'DENY',
          rules: [{ to: [{ operation: { methods: ['POST'], ports: ['8080'] } }] }],
        },
        gets: '000',
        reads: ['ZtunnelAccepted', /DENY policy with HTTP attributes is enforced without the HTTP rules\./],
      },
    ],
    [
      'authorization by caller and method: such a DENY does nothing',
      {
        kind: 'AuthorizationPolicy',
        spec: {
          selector: SELECTOR,
          action: 'DENY',
          rules: [{ from: [FROM_CURL], to: [{ operation: { methods: ['GET'] } }] }],
        },
        gets: '200',
        reads: ['ZtunnelAccepted', /this DENY policy has no enforceable rules at ztunnel and will have no effect\./],
      },
    ],
    [
      'end-user authentication: a token that is none passes',
      {
        kind: 'RequestAuthentication',
        spec: { selector: SELECTOR, jwtRules: [JWT] },
        request: ['-H', 'Authorization: Bearer x.y.z'],
        gets: '200',
        reads: [
          'ambient.lab/InEffect',
          /^False NoTarget: ztunnel does not read requests, nor the tokens in them\. Deploy a waypoint proxy and use a targetRef to enforce this policy\.$/,
        ],
      },
    ],
    [
      'end-user authentication with a target, but without its waypoint',
      {
        kind: 'RequestAuthentication',
        spec: { targetRefs: [SERVICE], jwtRules: [JWT] },
        request: ['-H', 'Authorization: Bearer x.y.z'],
        gets: '200',
        reads: ['WaypointAccepted', NOT_BOUND],
      },
    ],
    [
      'end-user authorization: nobody has claims, and everybody is refused',
      {
        kind: 'AuthorizationPolicy',
        spec: { selector: SELECTOR, rules: [{ when: [{ key: 'request.auth.claims[scope]', values: ['read'] }] }] },
        gets: '000',
        reads: [
          'ZtunnelAccepted',
          /ztunnel does not support HTTP attributes \(found: request\.auth\.claims\[scope\]\)/,
        ],
      },
    ],
    [
      'external authorization: nobody is asked',
      {
        kind: 'AuthorizationPolicy',
        spec: { selector: SELECTOR, action: 'CUSTOM', provider: { name: 'authz' }, rules: [{}] },
        gets: '200',
        reads: ['ZtunnelAccepted', /^False UnsupportedValue: ztunnel does not support the CUSTOM action$/],
      },
    ],
    [
      'canary by header: a redirect that nobody gets',
      {
        kind: 'HTTPRoute',
        spec: {
          parentRefs: [SERVICE],
          rules: [
            {
              matches: [{ headers: [{ name: 'end-user', value: 'jason' }] }],
              filters: [{ type: 'RequestRedirect', requestRedirect: { hostname: 'canary.example', statusCode: 302 } }],
            },
          ],
        },
        request: ['-H', 'end-user: jason'],
        gets: '200',
        reads: ['ambient.lab/InEffect', NO_WAYPOINT('HTTPRoute')],
      },
    ],
    [
      'mirroring',
      {
        kind: 'HTTPRoute',
        spec: {
          parentRefs: [SERVICE],
          rules: [
            {
              filters: [{ type: 'RequestMirror', requestMirror: { backendRef: BACKEND } }],
              backendRefs: [BACKEND],
            },
          ],
        },
        gets: '200',
        reads: ['ambient.lab/InEffect', NO_WAYPOINT('HTTPRoute')],
      },
    ],
    [
      'timeouts and retries',
      {
        kind: 'VirtualService',
        spec: { hosts: ['httpbin'], http: [{ timeout: '1ms', retries: { attempts: 3 }, route: [DESTINATION] }] },
        request: ['http://httpbin:8000/delay/0.2', '-o', '/dev/null'],
        gets: '200',
        reads: ['ambient.lab/InEffect', NO_WAYPOINT('VirtualService')],
      },
    ],
    [
      'fault injection',
      {
        kind: 'VirtualService',
        spec: {
          hosts: ['httpbin'],
          http: [{ fault: { abort: { percentage: { value: 100 }, httpStatus: 418 } }, route: [DESTINATION] }],
        },
        gets: '200',
        reads: ['ambient.lab/InEffect', NO_WAYPOINT('VirtualService')],
      },
    ],
    [
      'circuit breaking and outlier detection',
      {
        kind: 'DestinationRule',
        spec: { host: 'httpbin', trafficPolicy: { outlierDetection: { consecutive5xxErrors: 1 } } },
        gets: '200',
        reads: ['ambient.lab/InEffect', NO_WAYPOINT('DestinationRule')],
      },
    ],
    [
      'rate limits of requests',
      {
        kind: 'RateLimitPolicy',
        spec: { targetRefs: [SERVICE], local: { limits: [{ requests: 1, per: '1h' }] } },
        request: [GET, '-o', '/dev/null'],
        gets: '200',
        reads: ['WaypointAccepted', NOT_BOUND],
      },
    ],
  ])('%s', async (_, { kind, spec, request = [], gets, reads: [condition, words] }) => {
    const object = { apiVersion: API_VERSIONS[kind], kind, metadata: { name: 'asked', namespace: 'default' }, spec }
    expect(await lab.run(['apply', '-f', '-'], { input: await stringifyYaml([object]) })).toMatchObject({ code: 0 })
    await eventually(async () => {
      expect(await conditionOf(kind, condition)).toMatch(words)
      return true
    }, PATIENCE)
    await eventually(async () => (await status(...request)).endsWith(gets), PATIENCE)
    await lab.ok('delete', `${kind}/asked`)
    await eventually(async () => (await status()) === '200', PATIENCE)
  })

  test('why: names the policy that was left without rules', async () => {
    const spec = { selector: SELECTOR, rules: [{ to: [{ operation: { paths: ['/get'] } }] }] }
    const policy = {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'paths' },
      spec,
    }
    await lab.run(['apply', '-f', '-'], { input: await stringifyYaml([policy]) })
    await eventually(async () => {
      const { code, stdout } = await lab.run(['why', 'deploy/curl', 'svc/httpbin', '--path', '/get'])
      expect(code).toBe(1)
      expect(stdout).toMatch(/^DENIED {2}DENY {2}refused at ztunnel n1: .* allow policies exist, but none allowed$/m)
      expect(stdout).toMatch(/^default\/paths {2}ALLOW\n +no condition was asked$/m)
      return true
    }, PATIENCE)
  })
})

/** Of the request: its HTTP status, and 000 where there was no connection. */
async function status(...more: readonly string[]): Promise<string> {
  const curl = ['curl', '-s', '--max-time', '5', '-w', '%{http_code}', '-o', '/dev/null', ...more, GET]
  return (await lab.run(['exec', 'deploy/curl', '--', ...curl])).stdout
}

/** `True Accepted: …`, of the object itself or of its first parent. */
async function conditionOf(kind: string, type: string): Promise<string> {
  interface Conditions {
    readonly conditions?: readonly { type: string; status: string; reason: string; message: string }[]
  }
  const { status } = await lab.json<{ status?: Conditions & { parents?: readonly Conditions[] } }>(
    'get',
    `${kind}/asked`,
  )
  const all = [...(status?.conditions ?? []), ...(status?.parents?.[0]?.conditions ?? [])]
  const found = all.find((condition) => condition.type === type)
  return found ? `${found.status} ${found.reason}: ${found.message}` : 'not there'
}
