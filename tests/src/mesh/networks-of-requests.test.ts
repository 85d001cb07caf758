import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connections, items } from './objects.ts'

const TLS = 'tls: { mode: Terminate, options: { gateway.istio.io/tls-terminate-mode: ISTIO_MUTUAL } }'
const eastWest = (network: string) => `
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: ${network}-gateway
  namespace: istio-system
  labels: { topology.istio.io/network: ${network} }
spec: { gatewayClassName: istio-east-west, listeners: [{ name: mesh, port: 15008, protocol: HBONE, ${TLS} }] }
`
const caller = (namespace: string, network: string) => `
---
apiVersion: v1
kind: Pod
metadata: { name: ${network}-curl, namespace: ${namespace} }
spec: { nodeName: ${network}-1, containers: [{ name: curl, image: curlimages/curl }] }
`
const service = (name: string, labels: string) => `
---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: mesh, labels: { istio.io/global: "true"${labels} } }
spec: { selector: { app: echo }, ports: [{ name: http, port: 80, targetPort: 3000 }] }
`
/** The one endpoint is in west; waypoint, ingress and sidecar are in east. */
const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: mesh, labels: { istio.io/dataplane-mode: ambient } }
---
apiVersion: v1
kind: Namespace
metadata: { name: cars, labels: { istio-injection: enabled } }
---
apiVersion: v1
kind: Pod
metadata: { name: echo, namespace: mesh, labels: { app: echo } }
spec: { nodeName: west-1, containers: [{ name: echo, image: ambient-lab/echo, ports: [{ containerPort: 3000 }] }] }
${service('echo', '')}${service('guarded', ', istio.io/use-waypoint: waypoint')}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: waypoint, namespace: mesh, labels: { topology.istio.io/network: east } }
spec: { gatewayClassName: istio-waypoint, listeners: [{ name: mesh, port: 15008, protocol: HBONE }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: door, namespace: mesh, labels: { topology.istio.io/network: east } }
spec: { gatewayClassName: istio, listeners: [{ name: http, port: 80, protocol: HTTP }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: door, namespace: mesh }
spec: { parentRefs: [{ name: door }], rules: [{ backendRefs: [{ name: echo, port: 80 }] }] }
${['east', 'west'].map((network) => eastWest(network) + caller('mesh', network)).join('')}
${caller('cars', 'east')}
`
const PATIENCE = { timeoutMs: 30_000 }
const GONE = 'unknown network gateway: network gateway west-gateway.istio-system.svc.cluster.local not found'

let lab: AmbientLab

beforeAll(async () => {
  lab = await AmbientLab.start({
    name: 'networks-of-requests',
    nodes: [
      { name: 'east-1', labels: { 'topology.istio.io/network': 'east' } },
      { name: 'west-1', labels: { 'topology.istio.io/network': 'west' } },
    ],
    world: WORLD,
    readyNamespaces: ['mesh', 'cars', 'istio-system'],
  })
}, 90_000)

afterAll(() => lab[Symbol.asyncDispose]())

/** The whole answer to a request of a pod. */
async function call(pod: string, url: string): Promise<string> {
  const [namespace, name] = pod.split('/') as [string, string]
  const curl = ['curl', '-si', '--max-time', '5', url]
  return (await lab.run(['exec', name, '-n', namespace, '--', ...curl])).stdout
}

/** The same to the ingress gateway, from outside of the mesh. */
async function knock(): Promise<string> {
  const pods = await items(lab, 'pods', '-n', 'mesh', '-l', 'gateway.networking.k8s.io/gateway-name=door')
  const { ports } = pods[0]!.status!.ambientLab as { readonly ports: Readonly<Record<string, { port: number }>> }
  const answer = await fetch(`http://127.0.0.1:${ports['80']!.port}/`)
  return `HTTP/1.1 ${answer.status} ${await answer.text()}`
}

async function answers(ask: () => Promise<string>, pattern: RegExp): Promise<true> {
  expect(await ask()).toMatch(pattern)
  return true
}

/** Each way a request may take into west, and the account that its last proxy shows there. */
const WAYS: readonly (readonly [string, () => Promise<string>, string])[] = [
  ['a waypoint', () => call('mesh/east-curl', 'http://guarded/'), 'ns/mesh/sa/waypoint'],
  ['an ingress gateway', knock, 'ns/mesh/sa/door-istio'],
  ['a sidecar', () => call('cars/east-curl', 'http://echo.mesh/'), 'ns/cars/sa/default'],
]

test.each(WAYS)(
  '%s reaches a service that is in the other network alone, and is known there as itself',
  async (_, ask, who) => {
    await eventually(() => answers(ask, /^HTTP\/1\.1 200 /), PATIENCE)
    const arrived = (await connections(lab)).filter(
      ({ direction, destination }) => direction === 'inbound' && destination.workload === 'echo',
    )
    expect(arrived.map(({ source }) => source.identity)).toContain(`spiffe://cluster.local/${who}`)
  },
)

test('a client whose waypoint is in the other network goes there and back, past no waypoint twice', async () => {
  await eventually(async () => {
    expect(await call('mesh/west-curl', 'http://guarded/')).toMatch(/^HTTP\/1\.1 200 [\s\S]*server: istio-envoy/)
    return true
  }, PATIENCE)
  const sent = (await connections(lab)).find(
    ({ direction, source }) => direction === 'outbound' && source.workload === 'west-curl',
  )
  expect(sent?.destination.identity).toBe('spiffe://cluster.local/ns/istio-system/sa/east-gateway')
})

test('why follows a request through the gateway', async () => {
  const said = await lab.ok('why', 'pod/east-curl', 'svc/guarded', '-n', 'mesh')
  expect(said).toContain('through the gateway of network west, pod west-gateway')
  expect(said).toContain('leads to echo')
})

test('with no pod of the gateway the answer says who is missing', async () => {
  await lab.ok('scale', 'deployment', 'west-gateway', '-n', 'istio-system', '--replicas', '0')
  for (const [, ask] of WAYS) {
    await eventually(async () => {
      const answer = await ask()
      expect(answer).toMatch(/^HTTP\/1\.1 503 /)
      expect(answer).toContain(`reset reason: remote connection failure, transport failure reason: ${GONE}`)
      return true
    }, PATIENCE)
  }
  expect(await lab.ok('logs', 'deploy/waypoint', '-n', 'mesh')).toMatch(
    /" 503 (URX,)?UF(,URX)? .*unknown network gateway/,
  )
  await lab.ok('scale', 'deployment', 'west-gateway', '-n', 'istio-system', '--replicas', '1')
  for (const [, ask] of WAYS) await eventually(() => answers(ask, /^HTTP\/1\.1 200 /), PATIENCE)
})

test('without a gateway the endpoints are left out, and the log, why and analyze say so', async () => {
  await lab.ok('delete', 'gateway', 'west-gateway', '-n', 'istio-system')
  for (const [, ask] of WAYS) {
    await eventually(() => answers(ask, /^HTTP\/1\.1 503 [\s\S]*no healthy upstream$/), PATIENCE)
  }
  const log = await lab.ok('logs', 'deploy/waypoint', '-n', 'mesh')
  const leftOut = '1 endpoint of network west left out: network west has no reachable east-west gateway'
  expect(log).toMatch(/ 503 UH no_healthy_upstream /)
  expect(log).toContain(leftOut)
  expect(await lab.run(['why', 'pod/east-curl', 'svc/guarded', '-n', 'mesh']).then(({ stdout }) => stdout)).toContain(
    leftOut,
  )
  const { stdout } = await lab.run(['analyze', '-A'])
  expect(stdout).toContain(
    'Network west has no east-west gateway: from other networks nobody reaches what service mesh/echo has there.',
  )
})
