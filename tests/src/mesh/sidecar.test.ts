import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import type { EdgeCounters } from '@ambient-lab/xds'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connections, type Item, items } from './objects.ts'

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url))
const PATIENCE = { timeoutMs: 20_000 }

const LAB = `
apiVersion: ambient.lab/v1
kind: Lab
metadata: { name: sidecars }
spec:
  nodes: [{ name: n1 }, { name: n2 }]
  apply: [world.yaml]
`

/** `default` has sidecars, `amb` is ambient with a waypoint that lets nobody GET, `out` is not in the mesh. */
const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: default, labels: { istio-injection: enabled, istio.io/dataplane-mode: ambient } }
---
apiVersion: v1
kind: Namespace
metadata: { name: amb, labels: { istio.io/dataplane-mode: ambient, istio.io/use-waypoint: waypoint } }
---
apiVersion: v1
kind: Namespace
metadata: { name: out }
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: waypoint, namespace: amb }
spec: { gatewayClassName: istio-waypoint, listeners: [{ name: mesh, port: 15008, protocol: HBONE }] }
---
apiVersion: v1
kind: Service
metadata: { name: echo, namespace: amb }
spec: { selector: { app: echo }, ports: [{ name: http, port: 80, targetPort: 3000 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: echo, namespace: amb, labels: { app: echo } }
spec: { nodeName: n2, containers: [{ name: echo, image: ambient-lab/echo, ports: [{ containerPort: 3000 }] }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: waypoints-own, namespace: amb }
spec:
  targetRefs: [{ group: '', kind: Service, name: echo }]
  action: DENY
  rules: [{ to: [{ operation: { methods: [GET] } }] }]
---
apiVersion: v1
kind: Pod
metadata: { name: curl, namespace: amb }
spec: { containers: [{ name: curl, image: curlimages/curl }] }
---
apiVersion: v1
kind: Pod
metadata: { name: curl, namespace: out }
spec: { containers: [{ name: curl, image: curlimages/curl }] }
---
apiVersion: v1
kind: Pod
metadata: { name: bare, namespace: default, labels: { sidecar.istio.io/inject: 'false', istio.io/dataplane-mode: none } }
spec: { containers: [{ name: curl, image: curlimages/curl }] }
`

let lab: AmbientLab

beforeAll(async () => {
  lab = new AmbientLab()
  writeFileSync(join(lab.home, 'lab.yaml'), LAB)
  writeFileSync(join(lab.home, 'world.yaml'), WORLD)
  await lab.ok('up', join(lab.home, 'lab.yaml'))
  const files = ['bookinfo/bookinfo.yaml', 'bookinfo/curl.yaml', 'sidecar/canary.yaml', 'sidecar/policies.yaml']
  await lab.ok('apply', ...files.flatMap((name) => ['-f', `${EXAMPLES}/${name}`]))
  await lab.ok('wait', 'deploy', '--for=condition=Available')
  await lab.ok('wait', 'pods', '-n', 'amb', '--all', '--for=condition=Ready')
}, 60_000)

afterAll(() => lab[Symbol.asyncDispose]())

async function call(from: string, url: string, ...more: string[]): Promise<string> {
  const slash = from.indexOf('/')
  const [namespace, pod] = [from.slice(0, slash), from.slice(slash + 1)]
  const { stdout } = await lab.run([
    ...['exec', pod, '-n', namespace, '--', 'curl', '-si', '--max-time', '5', ...more, url],
  ])
  return stdout
}

async function proxyLog(pod: string): Promise<string> {
  return lab.ok('logs', pod, '-c', 'istio-proxy')
}

/** Where one of Envoy's ports of a pod's sidecar really is. */
function sidecarPort(pod: Item, port: string): number {
  const { ports } = pod.status!.ambientLab as { readonly ports: Readonly<Record<string, { readonly port: number }>> }
  return ports[port]!.port
}

async function podOf(app: string): Promise<Item> {
  const [pod] = await items<Record<string, unknown>>(lab, 'pods', '-l', `app=${app}`)
  return pod!
}

test('pods of an injected namespace have a second container, and no ztunnel', async () => {
  const table = await lab.ok('get', 'pods')
  expect(table.match(/ 2\/2 /g)).toHaveLength(8)
  expect(table).toMatch(/^bare +1\/1 /m)
  const pods = await items(lab, 'pods')
  for (const { metadata } of pods as readonly { metadata: { name: string; annotations?: Record<string, string> } }[]) {
    const { 'sidecar.istio.io/status': status, 'ambient.istio.io/redirection': redirection } =
      metadata.annotations ?? {}
    expect(status === undefined).toBe(metadata.name === 'bare')
    expect(redirection).toBeUndefined()
  }
})

test('the caller’s sidecar routes by header', async () => {
  const reviewers = async (...headers: string[]) => {
    const answers = await Promise.all(
      [1, 2, 3, 4].map(() => call('default/deploy/curl', 'http://reviews:9080/reviews/0', ...headers)),
    )
    return new Set(answers.map((answer) => /"podname":"(reviews-v\d)/.exec(answer)?.[1]))
  }
  await eventually(async () => expect(await reviewers()).toEqual(new Set(['reviews-v1'])), PATIENCE)
  expect(await reviewers('-H', 'end-user: jason')).toEqual(new Set(['reviews-v2']))
  expect(await proxyLog('deploy/curl')).toContain('outbound|9080|v2|reviews.default.svc.cluster.local')
})

test('the callee’s sidecar refuses requests by method, whoever calls', async () => {
  for (const caller of ['default/deploy/curl', 'amb/curl']) {
    const url = 'http://ratings.default:9080/ratings/1'
    expect(await call(caller, url, '-X', 'POST')).toMatch(/^HTTP\/1\.1 403 [\s\S]*RBAC: access denied$/)
    expect(await call(caller, url)).toMatch(/^HTTP\/1\.1 200 /)
  }
  const [log, other] = await Promise.all(
    (await items(lab, 'pods', '-l', 'app=ratings')).map(({ metadata }) => proxyLog(metadata.name)),
  )
  expect(`${log}${other}`).toContain('rbac_access_denied_matched_policy[ns[default]-policy[ratings-read-only]-rule[0]]')
  const edges = (await items<EdgeCounters>(lab, 'edges'))
    .map(({ spec }) => spec)
    .filter(({ reporter, destinationWorkload }) => reporter === 'destination' && destinationWorkload === 'ratings-v1')
  for (const caller of [{ sourceNamespace: 'default' }, { sourceNamespace: 'amb' }]) {
    const own = edges.filter(
      (edge) => edge.sourceWorkload === 'curl' && edge.sourceNamespace === caller.sourceNamespace,
    )
    expect(own.reduce((sum, { denied }) => sum + denied, 0)).toBe(1)
    expect(own[0]).toMatchObject({ ...caller, connectionSecurityPolicy: 'mutual_tls' })
  }
})

test('an ambient client is known by its identity, plaintext is refused', async () => {
  expect(await call('amb/curl', 'http://details.default:9080/details/0')).toMatch(
    /^HTTP\/1\.1 200 [\s\S]*server: istio-envoy/,
  )
  expect(await call('out/curl', 'http://details.default:9080/details/0')).toBe('')
  expect(await call('default/bare', 'http://details:9080/details/0')).toBe('')
  expect(await proxyLog('deploy/details-v1')).toContain('"- - -" 0 NR filter_chain_not_found')
  const metrics = await fetch(`http://127.0.0.1:${sidecarPort(await podOf('details'), '15020')}/stats/prometheus`)
  const text = await metrics.text()
  expect(text).toMatch(
    /^istio_requests_total\{reporter="destination",.*source_principal="spiffe:\/\/cluster\.local\/ns\/amb\/sa\/default"/m,
  )
})

test('a sidecar’s client passes by the waypoint that an ambient client goes through', async () => {
  await eventually(async () => expect(await call('amb/curl', 'http://echo/')).toMatch(/ 403 /), PATIENCE)
  expect(await call('default/deploy/curl', 'http://echo.amb/')).toMatch(/^HTTP\/1\.1 200 /)
  const inbound = (await connections(lab)).filter(
    ({ direction, destination }) => direction === 'inbound' && destination.workload === 'echo',
  )
  expect(inbound.map(({ source }) => source.identity)).toContain('spiffe://cluster.local/ns/default/sa/curl')
})

test('nothing outside of the mesh is reached where only the registry counts', async () => {
  const sidecar = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: curl }
spec:
  workloadSelector: { labels: { app: curl } }
  outboundTrafficPolicy: { mode: REGISTRY_ONLY }
  egress: [{ hosts: ['./*'] }]
`
  await lab.run(['apply', '-f', '-'], { input: sidecar })
  await eventually(
    async () => expect(await call('default/deploy/curl', 'http://echo.amb/')).toMatch(/^$|502/),
    PATIENCE,
  )
  expect(await call('default/deploy/curl', 'http://details:9080/details/0')).toMatch(/^HTTP\/1\.1 200 /)
  expect(await call('default/deploy/productpage-v1', 'http://echo.amb/')).toMatch(/^HTTP\/1\.1 200 /)
  await lab.ok('delete', 'sidecar', 'curl')
  await eventually(async () => expect(await call('default/deploy/curl', 'http://echo.amb/')).toMatch(/ 200 /), PATIENCE)
})

test('a sidecar that dies takes nothing with it, and comes back where it was', async () => {
  const before = await podOf('curl')
  await fetch(`http://127.0.0.1:${sidecarPort(before, '15000')}/quitquitquit`, { method: 'POST' })
  expect(await call('default/deploy/details-v1', 'http://ratings:9080/ratings/0')).toMatch(/ 200 /)
  await eventually(async () => {
    const after = await podOf('curl')
    const { containerStatuses } = after.status as {
      containerStatuses: { name: string; ready: boolean; restartCount: number }[]
    }
    expect(containerStatuses).toMatchObject([
      { name: 'curl', ready: true, restartCount: 0 },
      { name: 'istio-proxy', ready: true, restartCount: 1 },
    ])
    expect(after.spec.nodeName).toBe(before.spec.nodeName)
    expect(after.status!.ambientLab).toMatchObject({
      capture: (before.status!.ambientLab as { capture: object }).capture,
    })
    expect(await call('default/deploy/curl', 'http://details:9080/details/0')).toMatch(/ 200 /)
    return true
  }, PATIENCE)
})
