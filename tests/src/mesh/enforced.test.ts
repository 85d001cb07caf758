import { fileURLToPath } from 'node:url'
import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { items } from './objects.ts'

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url))
const CALLS = 5

let lab: AmbientLab

interface Row {
  readonly policy: string
  readonly state: string
  readonly enforcedAt: readonly string[]
  readonly code?: string
  readonly note?: string
  readonly proof?: { readonly held: number; readonly calls: number; readonly expected: string }
}

const authorization = (name: string, spec: string) => `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: default}
spec: ${spec}
`
const HTTPBIN = 'selector: {matchLabels: {app: httpbin}}'
const SERVICE = 'targetRefs: [{kind: Service, group: "", name: httpbin}]'

/** Somebody whose bytes are not captured: a namespace outside the mesh. */
const OUTSIDE = `
apiVersion: v1
kind: Namespace
metadata: {name: outside}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: stranger, namespace: outside}
spec:
  selector: {matchLabels: {app: stranger}}
  template:
    metadata: {labels: {app: stranger}}
    spec: {containers: [{name: curl, image: docker.io/curlimages/curl:8.16.0}]}
`
const GATEWAY = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: door, namespace: default}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: page, namespace: default}
spec: {parentRefs: [{name: door}], rules: [{backendRefs: [{name: httpbin, port: 8000}]}]}
`
const STRICT = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: default}
spec: {mtls: {mode: STRICT}}
`

beforeAll(async () => {
  lab = new AmbientLab()
  await lab.ok('up', '--wait')
  await lab.ok('label', 'ns', 'default', 'istio.io/dataplane-mode=ambient')
  await lab.ok('apply', '-f', `${EXAMPLES}/httpbin`, '-f', `${EXAMPLES}/bookinfo/curl.yaml`)
  await lab.ok('check', '--wait')
})

afterAll(() => lab[Symbol.asyncDispose]())

/** Applies, asks until the control plane has said what it makes of each, and takes all of it away again. */
async function enforced(yaml: string, settled: (rows: readonly Row[]) => void): Promise<void> {
  const applied = await lab.run(['apply', '-f', '-'], { input: yaml })
  expect(applied.code, applied.stderr).toBe(0)
  try {
    await eventually(
      async () => {
        const { code, stdout, stderr } = await lab.run(['enforced', '--prove', '--times', `${CALLS}`, '-o', 'json'])
        expect([0, 1], stderr).toContain(code)
        const { items: rows } = JSON.parse(stdout) as { items: readonly Row[] }
        expect(code).toBe(rows.every(({ state }) => state === 'ok') ? 0 : 1)
        settled(rows)
        return true
      },
      { timeoutMs: 20_000 },
    )
  } finally {
    await lab.run(['delete', '-f', '-'], { input: yaml })
  }
}

const proved = (expected: string) => ({ held: CALLS, calls: CALLS, expected })

describe('enforced', () => {
  test('exit 2 where there is no policy', async () => {
    const { code, stderr } = await lab.run(['enforced'])
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/namespace default has no policy/),
    })
  })

  test('ztunnel: an ALLOW for somebody else refuses, one for the caller lets in', async () => {
    await enforced(
      authorization('web', `{${HTTPBIN}, rules: [{from: [{source: {serviceAccounts: [web]}}]}]}`),
      (rows) => expect(rows).toMatchObject([{ state: 'ok', enforcedAt: ['ztunnel'], proof: proved('refused') }]),
    )
    await enforced(authorization('all', `{${HTTPBIN}, rules: [{from: [{source: {namespaces: ["*"]}}]}]}`), (rows) =>
      expect(rows).toMatchObject([{ state: 'ok', proof: proved('let in') }]),
    )
  })

  test.each([
    [
      'a DENY with HTTP conditions only, which does nothing',
      `{${HTTPBIN}, action: DENY, rules: [{to: [{operation: {methods: [GET], paths: [/get]}}]}]}`,
      { state: 'NOT ENFORCED', enforcedAt: [], code: 'AM0104', proof: { held: 0, calls: CALLS, expected: 'refused' } },
    ],
    [
      'an ALLOW with HTTP conditions, which denies all',
      `{${HTTPBIN}, rules: [{to: [{operation: {methods: [GET]}}]}]}`,
      { state: 'PARTLY', enforcedAt: ['ztunnel'], code: 'AM0105', proof: proved('refused') },
    ],
    ['an AUDIT', `{${HTTPBIN}, action: AUDIT, rules: [{}]}`, { state: 'NOT ENFORCED', code: 'AM0109' }],
    ['nobody’s labels', '{selector: {matchLabels: {app: none}}}', { state: 'NOT ENFORCED', note: 'selects no pod' }],
    ['a service without waypoint', `{${SERVICE}, rules: [{}]}`, { state: 'NOT ENFORCED', code: 'AM0107' }],
    [
      'a service that is not there',
      '{targetRefs: [{kind: Service, group: "", name: gone}], rules: [{}]}',
      { state: 'NOT ENFORCED', note: 'Service default/gone was not found' },
    ],
  ])('says what becomes of %s', async (_, spec, row) => {
    await enforced(authorization('p', spec), (rows) => expect(rows).toMatchObject([row]))
  })

  test('a waypoint refuses by method, and by token', async () => {
    await lab.ok('apply', '-f', `${EXAMPLES}/end-users/waypoint.yaml`)
    await lab.ok('label', 'svc/httpbin', 'istio.io/use-waypoint=waypoint')
    const token = `
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: default}
spec: {${SERVICE}, jwtRules: [{issuer: somebody, jwks: '{"keys":[]}'}]}
`
    const get = authorization('get', `{${SERVICE}, rules: [{to: [{operation: {methods: [GET]}}]}]}`)
    await enforced(get + token, (rows) =>
      expect(rows).toMatchObject([
        { policy: 'get', state: 'ok', enforcedAt: ['default/waypoint'], proof: proved('refused') },
        { policy: 'tokens', state: 'ok', enforcedAt: ['default/waypoint'], proof: proved('refused') },
      ]),
    )
    // The calls were sent, and it was the waypoint that refused them.
    const refused = await items<{ status: number }>(lab, 'requests', '--field-selector', 'spec.state=refused')
    for (const status of [401, 403]) {
      expect(refused.filter(({ spec }) => spec.status === status).length).toBeGreaterThanOrEqual(CALLS)
    }
  })

  test('ingress by a gateway goes round the waypoint, until the service wants it on that way too', async () => {
    await lab.run(['apply', '-f', '-'], { input: GATEWAY })
    await lab.ok('wait', 'gateway/door', '--for', 'condition=Programmed')
    const get = authorization('get', `{${SERVICE}, rules: [{to: [{operation: {methods: [POST]}}]}]}`)
    const ingress = async () => {
      const [door] = await items(lab, 'pods', '-l', 'gateway.networking.k8s.io/gateway-name=door')
      const { ambientLab } = door!.status as { ambientLab: { ports: Record<string, { port: number }> } }
      const url = `http://127.0.0.1:${ambientLab.ports['80']!.port}/get`
      return (await fetch(url, { signal: AbortSignal.timeout(5000) })).status
    }
    await lab.run(['apply', '-f', '-'], { input: get })
    await eventually(async () => expect(await ingress()).toBe(200), { timeoutMs: 20_000 })
    await enforced(get, (rows) => expect(rows).toMatchObject([{ state: 'PARTLY', code: 'AM0108' }]))
    await lab.ok('label', 'svc/httpbin', 'istio.io/ingress-use-waypoint=true')
    await lab.run(['apply', '-f', '-'], { input: get })
    await eventually(async () => expect(await ingress()).toBe(403), { timeoutMs: 20_000 })
    await enforced(get, (rows) => expect(rows).toMatchObject([{ state: 'ok', proof: proved('refused') }]))
    await lab.run(['delete', '-f', '-'], { input: GATEWAY })
  })

  test('callers outside the mesh go round the waypoint, until STRICT cuts them', async () => {
    expect((await lab.run(['apply', '-f', '-'], { input: OUTSIDE })).code).toBe(0)
    await lab.ok('check', '--wait')
    const get = authorization('get', `{${SERVICE}, rules: [{to: [{operation: {methods: [GET]}}]}]}`)
    await enforced(get, (rows) =>
      expect(rows).toMatchObject([{ state: 'PARTLY', code: 'AM0108', proof: proved('refused') }]),
    )
    await enforced(`${get}---${STRICT}`, (rows) =>
      expect(rows).toMatchObject([
        { policy: 'get', state: 'ok' },
        { policy: 'strict', state: 'ok', enforcedAt: ['ztunnel'], proof: proved('plaintext cut') },
      ]),
    )
  })

  test('a table for people', async () => {
    await lab.run(['apply', '-f', '-'], { input: STRICT })
    const { stdout } = await lab.run(['enforced', '--prove', '--times', '3'])
    expect(stdout).toMatch(/^POLICY {2}KIND {2}ACTION {2}ASKED AT {4}ENFORCED AT {2}PROOF {14}STATE {2}NOTE\n/)
    expect(stdout).toMatch(/^strict {2}PA {4}mTLS {4}ns\/default {2}ztunnel {6}3\/3 plaintext cut {2}ok {5}-\n/m)
  })
})
