import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connections, items } from './objects.ts'

let lab: AmbientLab

beforeAll(async () => {
  lab = new AmbientLab()
  await lab.ok('up', 'demo', '--wait')
})

afterAll(() => lab[Symbol.asyncDispose]())

interface Why {
  readonly status: {
    readonly allowed: boolean
    readonly summary: string
    readonly fix?: readonly string[]
    readonly past?: { readonly by: string; readonly httpStatus: number; readonly changed: boolean }
    readonly checkpoints: readonly {
      readonly point: string
      readonly at: string
      readonly verdict: string
      readonly policies?: readonly { readonly policy: string }[]
    }[]
  }
}

const ALLOW_WEB = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-web, namespace: default}
spec:
  selector: {matchLabels: {app: productpage}}
  rules: [{from: [{source: {serviceAccounts: [web]}}]}]
`
const STRICT = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: default}
spec: {mtls: {mode: STRICT}}
`

/** What the machine's real curl gets, and what \`why\` says that it gets. */
async function both(service: string): Promise<{ got: boolean; said: boolean; why: Why['status'] }> {
  const url = `http://${service}:9080/health`
  const curl = await lab.run(['exec', 'deploy/curl', '--', 'curl', '-s', '-o', '/dev/null', '--max-time', '5', url])
  const why = await lab.run(['why', 'deploy/curl', `svc/${service}`, '-o', 'json'])
  const { status } = JSON.parse(why.stdout) as Why
  expect(why.code).toBe(status.allowed ? 0 : 1)
  return { got: curl.code === 0, said: status.allowed, why: status }
}

describe('why', () => {
  test.each(['productpage', 'details', 'reviews'])('says yes where a request passes: %s', async (service) => {
    expect(await both(service)).toMatchObject({ got: true, said: true })
  })

  test('says no where it does not, and names the policy', async () => {
    await lab.run(['apply', '-f', '-'], { input: ALLOW_WEB })
    const { got, said, why } = await both('productpage')
    expect({ got, said }).toEqual({ got: false, said: false })
    expect(why.checkpoints.at(-1)).toMatchObject({
      point: 'allow',
      verdict: 'denied',
      policies: [{ policy: 'default/only-web' }],
    })
    expect(await both('details')).toMatchObject({ got: true, said: true })
    const refused = (await connections(lab)).find(({ responseFlags }) => responseFlags === 'DENY')!
    const byId = await lab.run(['why', refused.id, '-o', 'json'])
    expect(byId.code).toBe(1)
    expect((JSON.parse(byId.stdout) as Why).status).toMatchObject({
      fix: ['ALLOW default/only-web, rule 0: add default/curl to serviceAccounts'],
      checkpoints: expect.arrayContaining([expect.objectContaining({ point: 'allow', verdict: 'denied' })]),
    })
    expect(await lab.run(['why', 'n0-0'])).toMatchObject({ code: 2 })
    await lab.ok('delete', 'authorizationpolicy/only-web')
    expect(await both('productpage')).toMatchObject({ got: true, said: true })
  })

  test('knows that mutual TLS passes a STRICT namespace', async () => {
    await lab.run(['apply', '-f', '-'], { input: STRICT })
    const { got, said, why } = await both('details')
    expect({ got, said }).toEqual({ got: true, said: true })
    expect(why.checkpoints.find(({ point }) => point === 'deny')?.policies).toHaveLength(1)
  })

  test.each([
    [['deploy/nobody', 'svc/details'], /nothing runs as deploy\/nobody/],
    [['deploy/curl', 'svc/nowhere'], /services "nowhere" not found/],
  ])('exit 2 where caller or target is unknown: %s', async (args, message) => {
    const { code, stderr } = await lab.run(['why', ...args])
    expect(code).toBe(2)
    expect(stderr).toMatch(message)
  })

  test('can: one line and an exit code', async () => {
    expect(await lab.run(['can', 'deploy/curl', 'svc/details'])).toMatchObject({ code: 0, stdout: 'yes\n' })
    const closed = await lab.run(['can', 'deploy/curl', 'details:1234'])
    expect(closed).toMatchObject({ code: 1, stdout: expect.stringMatching(/^no: refused at ztunnel n\d: /) })
  })
})

interface Request {
  readonly id: string
  readonly node: string
  readonly proxy: string
  readonly path: string
  readonly state: string
  readonly status: number
}

const PATIENCE = { timeoutMs: 15_000 }
const REPLICAS = 3

/** Also matched: what is noted, and stops nothing. */
const WAYPOINT_POLICIES = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: reviews-read, namespace: default}
spec:
  targetRefs: [{group: "", kind: Service, name: reviews}]
  rules: [{to: [{operation: {methods: [GET]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: reviews-audit, namespace: default}
spec:
  targetRefs: [{group: "", kind: Service, name: reviews}]
  action: AUDIT
  rules: [{to: [{operation: {paths: [/reviews/*]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: reviews-trial, namespace: default, annotations: {istio.io/dry-run: "true"}}
spec:
  targetRefs: [{group: "", kind: Service, name: reviews}]
  action: DENY
  rules: [{to: [{operation: {paths: [/reviews/*]}}]}]
`
/** At layer 4 the waypoint is the caller. */
const BEHIND_WAYPOINT = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-waypoint, namespace: default}
spec:
  selector: {matchLabels: {app: reviews}}
  action: DENY
  rules: [{from: [{source: {serviceAccounts: [waypoint]}}]}]
`
const GATEWAY = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: door, namespace: default}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: page, namespace: default}
spec:
  parentRefs: [{name: door}]
  rules: [{backendRefs: [{name: productpage, port: 9080}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-admin, namespace: default}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: door}]
  action: DENY
  rules: [{to: [{operation: {paths: [/admin*]}}]}]
`

function post(path: string): Promise<string> {
  const curl = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '-X', 'POST', '--max-time', '5']
  const secret = ['-H', 'authorization: Bearer not-for-everybody']
  return lab.ok('exec', 'deploy/curl', '--', ...curl, ...secret, `http://reviews:9080${path}`)
}

async function refused(path: string): Promise<readonly Request[]> {
  const found = await items<Request>(lab, 'requests', '--field-selector', 'spec.state=refused')
  return found.map(({ spec }) => spec).filter((spec) => spec.path === path)
}

async function whyRequest(
  id: string,
): Promise<{ readonly code: number; readonly status: Why['status']; text: string }> {
  const { code, stdout } = await lab.run(['why', id, '-o', 'json'])
  return { code, status: (JSON.parse(stdout) as Why).status, text: stdout }
}

describe('why of a request', () => {
  beforeAll(async () => {
    await lab.ok('waypoint', 'apply', '--enroll-namespace', '--wait')
    await lab.ok('scale', 'deploy/waypoint', '--replicas', String(REPLICAS), '--wait')
    await lab.run(['apply', '-f', '-'], { input: WAYPOINT_POLICIES })
    await eventually(async () => expect(await post('/reviews/0')).toBe('403'), PATIENCE)
  })

  test('names the policy, whichever replica on which node refused it', async () => {
    await eventually(async () => {
      expect(await post('/reviews/7')).toBe('403')
      return new Set((await refused('/reviews/7')).map(({ node }) => node)).size > 1
    }, PATIENCE)
    for (const { id, node } of await refused('/reviews/7')) {
      const { code, status, text } = await whyRequest(id)
      expect({ code, allowed: status.allowed }).toEqual({ code: 1, allowed: false })
      expect(status.past).toMatchObject({ by: `waypoint default/waypoint on ${node}`, httpStatus: 403, changed: false })
      expect(status.fix).toEqual(['ALLOW default/reviews-read, rule 0: add POST to methods'])
      expect(status.checkpoints.map(({ point }) => point)).toEqual(
        expect.arrayContaining(['capture', 'audit', 'dry-run']),
      )
      expect(status.checkpoints.at(-1)).toMatchObject({
        point: 'allow',
        policies: [{ policy: 'default/reviews-read' }],
      })
      expect(text).not.toContain('not-for-everybody')
    }
  })

  test('says what would be decided now: its fix, applied, lets it in, and what is sent again passes', async () => {
    const [{ id }] = (await refused('/reviews/7')) as [Request]
    await lab.run(['apply', '-f', '-'], { input: WAYPOINT_POLICIES.replace('[GET]', '[GET, POST]') })
    await eventually(async () => expect((await whyRequest(id)).code).toBe(0), PATIENCE)
    const { status } = await whyRequest(id)
    expect(status).toMatchObject({ allowed: true, past: { httpStatus: 403, changed: true } })
    await eventually(async () => expect(await post('/reviews/7')).toBe('200'), PATIENCE)
  })

  test('knows the id that the access log has, and says where ids are for one that nobody knows', async () => {
    const pods = await items(lab, 'pods', '-l', 'gateway.networking.k8s.io/gateway-name=waypoint')
    const logs = await Promise.all(pods.map(({ metadata }) => lab.ok('logs', metadata.name, '--tail', '1000')))
    const logged = /"POST \/reviews\/7 HTTP\/1.1" 403 .* "([0-9a-f-]{36})" "reviews:9080"/.exec(logs.join(''))
    expect((await whyRequest(logged![1]!)).status.past).toMatchObject({ httpStatus: 403 })
    const unknown = await lab.run(['why', '00000000-0000-4000-8000-000000000000'])
    expect(unknown).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/remembers a request .*\n.*next: ambient get requests/s),
    })
  })

  test('follows it to the ztunnel behind the waypoint, and so does the id of the connection that was refused there', async () => {
    await lab.run(['apply', '-f', '-'], { input: BEHIND_WAYPOINT })
    await eventually(async () => expect(await post('/reviews/9')).toBe('503'), PATIENCE)
    const { status } = await whyRequest((await refused('/reviews/9')).at(-1)!.id)
    expect(status).toMatchObject({ allowed: false, past: { httpStatus: 503 } })
    expect(status.checkpoints.at(-1)).toMatchObject({ point: 'deny', policies: [{ policy: 'default/no-waypoint' }] })
    const cut = (await connections(lab)).find(
      ({ responseFlags, source }) => responseFlags === 'DENY' && source.identity.endsWith('/sa/waypoint'),
    )
    const byConnection = await lab.run(['why', cut!.id, '-o', 'json'])
    expect(byConnection.code).toBe(1)
    const { checkpoints } = (JSON.parse(byConnection.stdout) as Why).status
    expect(checkpoints.map(({ at }) => at)).toEqual(checkpoints.map(() => `ztunnel ${cut!.node}`))
    expect(checkpoints.at(-1)).toMatchObject({ point: 'deny', policies: [{ policy: 'default/no-waypoint' }] })
    await lab.run(['delete', '-f', '-'], { input: BEHIND_WAYPOINT })
  })

  test('names what an ingress gateway refused, from the gateway on', async () => {
    await lab.run(['apply', '-f', '-'], { input: GATEWAY })
    const get = async (path: string) => {
      const pods = await items<never>(lab, 'pods', '-l', 'gateway.networking.k8s.io/gateway-name=door')
      const { ambientLab } = pods[0]!.status as { ambientLab: { ports: Record<string, { port: number }> } }
      return fetch(`http://127.0.0.1:${ambientLab.ports['80']!.port}${path}`, { signal: AbortSignal.timeout(5000) })
    }
    await eventually(async () => expect((await get('/health')).status).toBe(200), PATIENCE)
    await eventually(async () => expect((await get('/admin/x?token=t')).status).toBe(403), PATIENCE)
    const { id } = (await refused('/admin/x')).at(-1)!
    const { code, status } = await whyRequest(id)
    expect(code).toBe(1)
    expect(status.past!.by).toMatch(/^gateway default\/door on n\d$/)
    expect(status.checkpoints[0]!.at).toBe('gateway default/door')
    expect(status.checkpoints.at(-1)).toMatchObject({ point: 'deny', policies: [{ policy: 'default/no-admin' }] })
  })
})
