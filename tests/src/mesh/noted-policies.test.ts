import { fileURLToPath } from 'node:url'
import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { items } from './objects.ts'

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url))
const PATIENCE = { timeoutMs: 15_000 }

/** Ztunnels are sent policies in dry run only where istiod's flag is set. */
const lab = new AmbientLab({ AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY: 'true' })

beforeAll(async () => {
  await lab.ok('up', '--wait')
  await lab.ok('label', 'ns', 'default', 'istio.io/dataplane-mode=ambient')
  await lab.ok('apply', '-f', `${EXAMPLES}/httpbin`, '-f', `${EXAMPLES}/bookinfo/curl.yaml`)
  await lab.ok('check', '--wait')
})

afterAll(() => lab[Symbol.asyncDispose]())

const authorization = (name: string, spec: string, isDry = false) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: default${isDry ? ', annotations: {istio.io/dry-run: "true"}' : ''}}
spec: ${spec}
---
`
const TARGET = 'targetRefs: [{kind: Service, group: "", name: httpbin}]'
const LOGGED = `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    accessLogFormat: "%REQ(:PATH)% %RESPONSE_CODE% audit=%DYNAMIC_METADATA(envoy.common:access_log_hint)% \\
      deny=%DYNAMIC_METADATA(envoy.filters.http.rbac:istio_dry_run_deny_shadow_engine_result)%\\n"
`

interface Row {
  readonly policy: string
  readonly state: string
  readonly note: string
  readonly proof?: { readonly held: number; readonly expected: string }
}

async function apply(yaml: string): Promise<void> {
  const { code, stderr } = await lab.run(['apply', '-f', '-'], { input: yaml })
  expect(code, stderr).toBe(0)
}

function get(path: string): Promise<string> {
  const curl = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '5']
  return lab.ok('exec', 'deploy/curl', '--', ...curl, `http://httpbin:8000${path}`)
}

async function enforced(): Promise<readonly Row[]> {
  const { stdout } = await lab.run(['enforced', '--prove', '--times', '3', '-o', 'json'])
  return (JSON.parse(stdout) as { items: readonly Row[] }).items
}

describe('policies that decide nothing', () => {
  test('ztunnel: a DENY in dry run is logged, told by why, and lets everybody in', async () => {
    await apply(authorization('trial', '{selector: {matchLabels: {app: httpbin}}, action: DENY, rules: [{}]}', true))
    const nodes = (await items(lab, 'nodes')).map(({ metadata }) => metadata.name)
    await eventually(async () => {
      expect(await get('/get')).toBe('200')
      const logs = await Promise.all(nodes.map((name) => lab.ok('logs', `node/${name}`, '--tail', '200')))
      expect(logs.join('')).toMatch(/dry-run: deny policy match.*default\/trial/)
      return true
    }, PATIENCE)
    expect(await lab.ok('why', 'deploy/curl', 'svc/httpbin')).toMatch(
      /not enforced: DENY default\/trial would refuse it/,
    )
    expect(await enforced()).toMatchObject([
      {
        ...{ policy: 'trial', state: 'NOT ENFORCED', proof: { held: 0, expected: 'refused' } },
        note: 'ztunnel asks it in dry run: what it would do is noted, and not done',
      },
    ])
    await lab.ok('delete', 'authorizationpolicy/trial')
  })

  test('waypoint: an AUDIT and a DENY in dry run are in the log, the metrics and why, and let everybody in', async () => {
    await lab.ok('waypoint', 'apply', '--enroll-namespace', '--wait')
    await apply(LOGGED)
    const paths = (path: string) => `rules: [{to: [{operation: {paths: [${path}]}}]}]`
    await apply(
      authorization('audit', `{${TARGET}, action: AUDIT, ${paths('/get')}}`) +
        authorization('trial', `{${TARGET}, action: DENY, ${paths('/ip')}}`, true),
    )
    await eventually(async () => {
      expect(await get('/get')).toBe('200')
      expect(await get('/ip')).toBe('200')
      const log = await lab.ok('logs', 'deploy/waypoint', '--tail', '200')
      expect(log).toContain('/get 200 audit=true deny=allowed')
      expect(log).toContain('/ip 200 audit=false deny=denied')
      return true
    }, PATIENCE)
    const [waypoint] = await items(lab, 'pods', '-l', 'gateway.networking.k8s.io/gateway-name=waypoint')
    const { ambientLab } = waypoint!.status as { ambientLab: { ports: Record<string, { port: number }> } }
    const metrics = await fetch(`http://127.0.0.1:${ambientLab.ports['15020']!.port}/metrics`)
    expect(await metrics.text()).toMatch(
      /^envoy_http_\w+_rbac\{authz_dry_run_action="deny",authz_dry_run_result="denied"\} \d+$/m,
    )
    expect(await lab.ok('can', 'deploy/curl', 'http://httpbin:8000/get')).toBe('yes, audited by default/audit\n')
    expect(await lab.ok('can', 'deploy/curl', 'http://httpbin:8000/ip')).toBe('yes\n')
    expect(await enforced()).toMatchObject([
      {
        policy: 'audit',
        state: 'NOT ENFORCED',
        note: expect.stringMatching(/^default\/waypoint marks what it matches/),
      },
      { policy: 'trial', state: 'NOT ENFORCED', proof: { held: 0, expected: 'refused' } },
    ])
  })
})
