import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@ambient-lab/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AmbientLab } from './ambient.ts'
import type { LoadTarget } from './connection-load.ts'
import { type Item, items } from './objects.ts'
import { RequestLoad } from './request-load.ts'

const PATIENCE = { timeoutMs: 20_000 }
const TIMEOUT = { timeout: 60_000 }

const LAB = `
apiVersion: ambient.lab/v1
kind: Lab
metadata: { name: waypoint-life }
spec:
  nodes: [{ name: n1 }, { name: n2 }, { name: n3 }]
  apply: [world.yaml]
`

/** The client is on n1, the server on n2: whatever happens to the waypoint's replicas, those two stay. */
const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: load, labels: { istio.io/dataplane-mode: ambient, istio.io/use-waypoint: waypoint } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: waypoint, namespace: load, labels: { istio.io/waypoint-for: service } }
spec:
  gatewayClassName: istio-waypoint
  listeners: [{ name: mesh, port: 15008, protocol: HBONE }]
---
apiVersion: v1
kind: Service
metadata: { name: echo, namespace: load }
spec: { selector: { app: echo }, ports: [{ name: http, port: 80, targetPort: 3000 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: echo, namespace: load, labels: { app: echo } }
spec: { nodeName: n2, containers: [{ name: echo, image: ambient-lab/echo, ports: [{ containerPort: 3000 }] }] }
---
apiVersion: v1
kind: Pod
metadata: { name: curl, namespace: load, labels: { app: curl } }
spec: { nodeName: n1, containers: [{ name: curl, image: curlimages/curl }] }
`

let lab: AmbientLab
let target: LoadTarget

beforeAll(async () => {
  lab = new AmbientLab()
  writeFileSync(join(lab.home, 'lab.yaml'), LAB)
  writeFileSync(join(lab.home, 'world.yaml'), WORLD)
  await lab.ok('up', join(lab.home, 'lab.yaml'), '--wait')
  await scaleTo(2)
  const [curl] = await items(lab, 'pods', '-n', 'load', '-l', 'app=curl')
  const { capture } = curl!.status!.ambientLab as { capture: LoadTarget['capture'] }
  target = { capture, host: 'echo', port: 80 }
}, 60_000)

afterAll(() => lab[Symbol.asyncDispose]())

async function replicas(): Promise<readonly Item[]> {
  return items(lab, 'pods', '-n', 'load', '-l', 'gateway.networking.k8s.io/gateway-name=waypoint')
}

function names(pods: readonly Item[]): string[] {
  return pods.map(({ metadata }) => metadata.name).sort()
}

async function scaleTo(count: number): Promise<void> {
  await lab.ok('scale', 'deploy/waypoint', '--replicas', String(count), '-n', 'load', '--wait')
  await eventually(async () => expect(await replicas()).toHaveLength(count), PATIENCE)
}

/** Sends requests for as long as `body` takes, and a while before and after. */
async function underLoad(body: () => Promise<void>): Promise<void> {
  const load = new RequestLoad(target, { programs: 8, restMs: 10 })
  const more = (count: number) => {
    const goal = load.completed + load.failed.length + count
    return eventually(() => load.completed + load.failed.length >= goal, PATIENCE)
  }
  await more(100)
  await body()
  await more(200)
  await load.stop()
  expect(load.failed).toEqual([])
}

test('a replica is deleted, another takes its place, and not one request fails', TIMEOUT, async () => {
  await underLoad(async () => {
    const before = names(await replicas())
    await lab.ok('delete', 'pod', before[0]!, '-n', 'load')
    await lab.ok(
      'wait',
      'pods',
      '-l',
      'gateway.networking.k8s.io/gateway-name=waypoint',
      '-n',
      'load',
      '--for=condition=Ready',
    )
    await eventually(async () => {
      const now = names(await replicas())
      expect(now).toHaveLength(2)
      expect(now).not.toContain(before[0])
      return true
    }, PATIENCE)
  })
})

test('the waypoint is scaled up and down, and not one request fails', TIMEOUT, async () => {
  await underLoad(async () => {
    await scaleTo(3)
    await scaleTo(1)
    await scaleTo(2)
  })
})

test('the waypoint is restarted, and not one request fails', TIMEOUT, async () => {
  await underLoad(async () => {
    const before = names(await replicas())
    await lab.ok('restart', 'deploy/waypoint', '-n', 'load', '--wait')
    await eventually(async () => {
      const now = names(await replicas())
      expect(now).toHaveLength(2)
      expect(now.filter((name) => before.includes(name))).toEqual([])
      return true
    }, PATIENCE)
  })
})

test('a route changes again and again, and not one request fails', TIMEOUT, async () => {
  const changes = 10
  await underLoad(async () => {
    for (let version = 1; version <= changes; version += 1) {
      await lab.run(['apply', '-f', '-'], { input: routeOfVersion(version) })
      await eventually(async () => {
        const { stdout } = await lab.run(['exec', 'curl', '-n', 'load', '--', 'curl', '-si', 'http://echo/'])
        return stdout.includes(`x-version: ${version}\r\n`) || stdout.includes(`x-version: ${version}\n`)
      }, PATIENCE)
    }
  })
})

/** Each version another match as well, so that the route table is another one too. */
function routeOfVersion(version: number): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: echo, namespace: load }
spec:
  parentRefs: [{ group: '', kind: Service, name: echo }]
  rules:
    - matches: [{ path: { type: PathPrefix, value: /never-${version} } }]
      backendRefs: [{ name: echo, port: 80 }]
    - filters:
        - type: ResponseHeaderModifier
          responseHeaderModifier: { set: [{ name: x-version, value: '${version}' }] }
      backendRefs: [{ name: echo, port: 80 }]
`
}
