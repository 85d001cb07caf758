import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@ambient-lab/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AmbientLab } from './ambient.ts'
import type { LoadTarget } from './connection-load.ts'
import { items } from './objects.ts'
import { RequestLoad } from './request-load.ts'

const PATIENCE = { timeoutMs: 20_000 }
const TIMEOUT = { timeout: 60_000 }

const LAB = `
apiVersion: ambient.lab/v1
kind: Lab
metadata: { name: sidecar-life }
spec:
  nodes: [{ name: n1 }, { name: n2 }]
  apply: [world.yaml]
`

const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: load, labels: { istio-injection: enabled } }
---
apiVersion: v1
kind: Service
metadata: { name: echo, namespace: load }
spec: { selector: { app: echo }, ports: [{ name: http, port: 80, targetPort: 3000 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: echo, namespace: load }
spec:
  replicas: 2
  selector: { matchLabels: { app: echo } }
  template:
    metadata: { labels: { app: echo } }
    spec: { containers: [{ name: echo, image: ambient-lab/echo, ports: [{ containerPort: 3000 }] }] }
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
  const [curl] = await items(lab, 'pods', '-n', 'load', '-l', 'app=curl')
  const { capture } = curl!.status!.ambientLab as { capture: LoadTarget['capture'] }
  target = { capture, host: 'echo', port: 80 }
}, 60_000)

afterAll(() => lab[Symbol.asyncDispose]())

/** Sends requests for as long as `body` takes, and a while before and after. */
async function underLoad(body: (more: (count: number) => Promise<unknown>) => Promise<void>): Promise<void> {
  const load = new RequestLoad(target, { programs: 8, restMs: 10 })
  const more = (count: number) => {
    const goal = load.completed + load.failed.length + count
    return eventually(() => load.completed + load.failed.length >= goal, PATIENCE)
  }
  await more(100)
  await body(more)
  await more(200)
  await load.stop()
  expect(load.failed).toEqual([])
}

async function names(): Promise<string[]> {
  return (await items(lab, 'pods', '-n', 'load', '-l', 'app=echo')).map(({ metadata }) => metadata.name).sort()
}

test('a workload with sidecars is restarted, and not one request fails', TIMEOUT, async () => {
  await underLoad(async () => {
    const before = await names()
    await lab.ok('restart', 'deploy/echo', '-n', 'load', '--wait')
    await eventually(async () => {
      const now = await names()
      expect(now).toHaveLength(2)
      expect(now.filter((name) => before.includes(name))).toEqual([])
      return true
    }, PATIENCE)
  })
})

test('policies come and go, and not one request fails that they allow', TIMEOUT, async () => {
  const policies = (mode: string) => `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: load }
spec: { mtls: { mode: ${mode} } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: get, namespace: load }
spec: { rules: [{ to: [{ operation: { methods: [GET] } }] }] }
`
  await underLoad(async (more) => {
    for (const mode of ['STRICT', 'DISABLE', 'PERMISSIVE', 'STRICT']) {
      expect((await lab.run(['apply', '-f', '-'], { input: policies(mode) })).code).toBe(0)
      await more(100)
    }
  })
})
