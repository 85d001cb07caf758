import { eventually } from '@ambient-lab/testing'
import { type AmbientLab, type Load, type LoadTarget, LoadWorld, requestLoad } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { items } from './objects.ts'

const PATIENCE = { timeoutMs: 20_000 }
const TIMEOUT = { timeout: 60_000 }

let world: LoadWorld
let lab: AmbientLab
let target: LoadTarget

beforeAll(async () => {
  const init = { name: 'sidecar-life', nodes: ['n1', 'n2'], serves: 'http', mode: 'sidecar', replicas: 2 } as const
  world = await LoadWorld.start(init)
  lab = world.lab
  target = await world.target()
}, 60_000)

afterAll(() => world[Symbol.asyncDispose]())

/** Sends requests for as long as `body` takes, and a while before and after. */
async function underLoad(body: (load: Load) => Promise<void>): Promise<void> {
  const load = requestLoad(target, { programs: 8, restMs: 10, requestsPerConnection: 25 })
  await load.during(() => body(load), { before: 100, after: 200 })
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
  // From one extreme to the other by PERMISSIVE, once it is known at both ends, as Istio wants a mesh to be migrated.
  const steps = [
    { mode: 'STRICT', isMutual: true },
    { mode: 'PERMISSIVE', isMutual: true },
    { mode: 'DISABLE', isMutual: false },
    { mode: 'PERMISSIVE', isMutual: true },
    { mode: 'STRICT', isMutual: true },
  ]
  await underLoad(async (load) => {
    for (const { mode, isMutual } of steps) {
      expect((await lab.run(['apply', '-f', '-'], { input: policies(mode) })).code).toBe(0)
      await eventually(async () => expect(await callsMutually()).toBe(isMutual), PATIENCE)
      await load.more(100)
    }
  })
})

/** Whether the caller's sidecar sends by mutual TLS: then the server is told who called. */
async function callsMutually(): Promise<boolean> {
  const answer = await lab.ok('exec', 'curl', '-n', 'load', '--', 'curl', '-s', 'http://echo/')
  return /x-forwarded-client-cert/i.test(answer)
}
