import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@ambient-lab/testing'
import { AmbientLab, callEcho, EchoConnection } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connections } from './objects.ts'

const gateway = (network: string) => `
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: ${network}-gateway
  namespace: istio-system
  labels: { topology.istio.io/network: ${network} }
spec:
  gatewayClassName: istio-east-west
  listeners:
    - name: mesh
      port: 15008
      protocol: HBONE
      tls: { mode: Terminate, options: { gateway.istio.io/tls-terminate-mode: ISTIO_MUTUAL } }
`
/** Alone in its network: whoever calls it from the other goes through a gateway, or does not get there. */
const echo = (network: string, scope: string) => `
---
apiVersion: v1
kind: Pod
metadata: { name: ${network}-echo${scope}, namespace: mesh, labels: { app: ${network}-echo${scope} } }
spec:
  nodeName: ${network}-1
  containers: [{ name: echo, image: istio/tcp-echo-server, ports: [{ containerPort: 9000 }] }]
---
apiVersion: v1
kind: Service
metadata:
  name: ${network}-echo${scope}
  namespace: mesh
  labels: { istio.io/global: "${scope === ''}" }
spec: { selector: { app: ${network}-echo${scope} }, ports: [{ name: tcp, port: 9000 }] }
`
const caller = (network: string, name: string) => `
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${network}-${name}, namespace: mesh }
---
apiVersion: v1
kind: Pod
metadata: { name: ${network}-${name}, namespace: mesh }
spec:
  nodeName: ${network}-1
  serviceAccountName: ${network}-${name}
  containers: [{ name: curl, image: curlimages/curl }]
`
const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: mesh, labels: { istio.io/dataplane-mode: ambient } }
${['east', 'west'].map((of) => `${gateway(of)}${echo(of, '')}${echo(of, '-local')}${caller(of, 'curl')}`).join('')}
${caller('east', 'stranger')}
`
const ONLY_CURL = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: only-curl, namespace: mesh }
spec:
  selector: { matchLabels: { app: west-echo } }
  rules: [{ from: [{ source: { principals: [cluster.local/ns/mesh/sa/east-curl] } }] }]
`
const PATIENCE = { timeoutMs: 30_000 }

let lab: AmbientLab

beforeAll(async () => {
  lab = await AmbientLab.start({
    name: 'networks',
    nodes: [
      { name: 'east-1', labels: { 'topology.istio.io/network': 'east' } },
      { name: 'west-1', labels: { 'topology.istio.io/network': 'west' } },
    ],
    world: WORLD,
    readyNamespaces: ['mesh', 'istio-system'],
  })
}, 90_000)

afterAll(() => lab[Symbol.asyncDispose]())

async function open(pod: string, host: string): Promise<EchoConnection> {
  return EchoConnection.open({ capture: await lab.capture('mesh', pod), host, port: 9000 })
}

/** One line there and back. */
async function call(pod: string, host: string): Promise<true> {
  await callEcho({ capture: await lab.capture('mesh', pod), host, port: 9000 }, 'hello')
  return true
}

/** That a call ends without its line. */
async function refused(pod: string, host: string): Promise<true> {
  await expect(call(pod, host)).rejects.toThrow()
  return true
}

/** What the records of one pod's outgoing connections ended with. */
async function errorsOf(pod: string): Promise<string[]> {
  const all = await connections(lab)
  return all
    .filter(({ direction, source }) => direction === 'outbound' && source.workload === pod)
    .map(({ error }) => error)
}

test.each([
  ['east', 'west'],
  ['west', 'east'],
])('%s calls %s through its gateway, and is known there as itself', async (from, to) => {
  await eventually(() => call(`${from}-curl`, `${to}-echo`), PATIENCE)
  await eventually(async () => {
    const all = await connections(lab)
    const inbound = all.find((one) => one.direction === 'inbound' && one.destination.workload === `${to}-echo`)
    expect(inbound?.source).toMatchObject({
      workload: `${from}-curl`,
      identity: `spiffe://cluster.local/ns/mesh/sa/${from}-curl`,
    })
    const outbound = all.find((one) => one.direction === 'outbound' && one.source.workload === `${from}-curl`)
    expect(outbound?.destination.identity).toBe(`spiffe://cluster.local/ns/istio-system/sa/${to}-gateway`)
    return true
  }, PATIENCE)
})

test('why follows a call through the gateway', async () => {
  const said = await lab.ok('why', 'pod/east-curl', 'svc/west-echo', '-n', 'mesh')
  expect(said).toContain('through the gateway of network west')
  expect(said).toContain('leads to west-echo')
})

test('a service that is not global is its network’s own', async () => {
  await call('west-curl', 'west-echo-local')
  await refused('east-curl', 'west-echo-local')
  expect(await errorsOf('east-curl')).toContain('no valid routing destination for workload')
})

test('policy at the far end judges the caller, not the gateway', async () => {
  await call('east-stranger', 'west-echo')
  await lab.ok('apply', '-f', await file('policy.yaml', ONLY_CURL))
  await eventually(() => refused('east-stranger', 'west-echo'), PATIENCE)
  await call('east-curl', 'west-echo')
  expect(await errorsOf('east-stranger')).toContain('http status: 401 Unauthorized')
  await lab.ok('delete', 'authorizationpolicy', 'only-curl', '-n', 'mesh')
  await eventually(() => call('east-stranger', 'west-echo'), PATIENCE)
})

test('without its gateway a network cannot be reached, and with the next pod it can', async () => {
  const standing = await open('east-curl', 'west-echo')
  await standing.echo('before')
  await lab.ok('scale', 'deployment', 'west-gateway', '-n', 'istio-system', '--replicas', '0')
  await eventually(async () => {
    await refused('east-curl', 'west-echo')
    const missing = 'network gateway west-gateway.istio-system.svc.cluster.local not found'
    expect(await errorsOf('east-curl')).toContain(`unknown network gateway: ${missing}`)
    return true
  }, PATIENCE)
  await standing.closed
  // The network's own traffic has no need of it.
  await call('west-curl', 'west-echo')
  await lab.ok('scale', 'deployment', 'west-gateway', '-n', 'istio-system', '--replicas', '1')
  await eventually(() => call('east-curl', 'west-echo'), PATIENCE)
})

async function file(name: string, text: string): Promise<string> {
  const path = join(lab.home, name)
  writeFileSync(path, text)
  return path
}
