import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Item, items } from './objects.ts'

const PATIENCE = { timeoutMs: 20_000 }

const LAB = `
apiVersion: ambient.lab/v1
kind: Lab
metadata: { name: probes }
spec:
  nodes: [{ name: n1 }, { name: n2 }]
  apply: [world.yaml]
`
/** Says its name, and is as ready and as alive as it was told to be. */
const PROGRAM = `
  let status = { '/ready': 200, '/live': 200 }
  require('http').createServer((request, response) => {
    const [, path, code] = request.url.match(/^\\/set(\\/[a-z]+)\\/([0-9]+)$/) ?? []
    if (path) status[path] = Number(code)
    response.writeHead(status[request.url] ?? 200).end(process.env.HOSTNAME)
  }).listen(process.env.PORT, '127.0.0.1')
`
const pod = (name: string) => `
---
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: { app: web } }
spec:
  nodeName: n2
  containers:
    - name: web
      command: [${JSON.stringify(process.execPath)}, -e, ${JSON.stringify(PROGRAM)}]
      ports: [{ name: http, containerPort: 8080 }]
      readinessProbe: { httpGet: { path: /ready, port: http }, periodSeconds: 1, failureThreshold: 1 }
      livenessProbe: { httpGet: { path: /live, port: 8080 }, periodSeconds: 1, failureThreshold: 2 }
`
const service = (name: string, more: string) => `
---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec: { selector: { app: web }, ports: [{ name: http, port: 80, targetPort: http }]${more} }
`
/** STRICT: a probe that came in as others do would be refused. */
const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio.io/dataplane-mode: ambient } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
---
apiVersion: v1
kind: Pod
metadata: { name: curl, namespace: shop }
spec: { nodeName: n1, containers: [{ name: curl, image: curlimages/curl }] }
${service('web', '')}${service('web-anyway', ', publishNotReadyAddresses: true')}${pod('web-a')}${pod('web-b')}`

let lab: AmbientLab

beforeAll(async () => {
  lab = new AmbientLab()
  writeFileSync(join(lab.home, 'lab.yaml'), LAB)
  writeFileSync(join(lab.home, 'world.yaml'), WORLD)
  await lab.ok('up', join(lab.home, 'lab.yaml'), '--wait')
  await lab.ok('wait', 'pods', '--all', '-n', 'shop', '--for=condition=Ready', '--timeout', '30s')
}, 60_000)

afterAll(() => lab[Symbol.asyncDispose]())

async function podNamed(name: string): Promise<Item> {
  const pods = await items<Record<string, unknown>>(lab, 'pods', '-n', 'shop')
  return pods.find(({ metadata }) => metadata.name === name)!
}

async function isReady(name: string): Promise<boolean> {
  const conditions = (await podNamed(name)).status!.conditions as { type: string; status: string }[]
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
}

async function curl(url: string, times = 1): Promise<readonly string[]> {
  const urls = Array.from({ length: times }, () => url)
  const args = ['-sS', '--no-keepalive', '-H', 'Connection: close', '-w', '\n', ...urls]
  return (await lab.ok('exec', 'curl', '-n', 'shop', '--', 'curl', ...args)).trim().split('\n')
}

async function tell(name: string, path: string): Promise<void> {
  await curl(`http://${String((await podNamed(name)).status!.podIP)}:8080/set${path}`)
}

test('a pod that says it is not ready gets no more connections, unless a service wants it anyway', async () => {
  expect(new Set(await curl('http://web/', 40))).toEqual(new Set(['web-a', 'web-b']))
  await tell('web-a', '/ready/503')
  await eventually(async () => !(await isReady('web-a')), PATIENCE)
  await eventually(async () => new Set(await curl('http://web/', 40)).size === 1, PATIENCE)
  expect(new Set(await curl('http://web/', 40))).toEqual(new Set(['web-b']))
  expect(new Set(await curl('http://web-anyway/', 40))).toEqual(new Set(['web-a', 'web-b']))
  await tell('web-a', '/ready/200')
  await eventually(async () => (await isReady('web-a')) && new Set(await curl('http://web/', 40)).size === 2, PATIENCE)
})

test('a pod that does not live is started again', async () => {
  const restarts = async () => {
    const [status] = (await podNamed('web-b')).status!.containerStatuses as { restartCount: number }[]
    return status!.restartCount
  }
  expect(await restarts()).toBe(0)
  await tell('web-b', '/live/500')
  await eventually(async () => (await restarts()) === 1 && (await isReady('web-b')), PATIENCE)
  const events = await lab.ok('describe', 'pod/web-b', '-n', 'shop')
  expect(events).toContain('Liveness probe failed: HTTP probe failed with statuscode: 500')
  expect(new Set(await curl('http://web/', 40))).toEqual(new Set(['web-a', 'web-b']))
})
