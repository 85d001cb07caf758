import { eventually } from '@ambient-lab/testing'
import { type AmbientLab, type LoadTarget, LoadWorld, requestLoad } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Item, items } from './objects.ts'

const PATIENCE = { timeoutMs: 20_000 }
const TIMEOUT = { timeout: 60_000 }

/** The client is on n1, the server on n2: whatever happens to the waypoint's replicas, those two stay. */
const NODES = ['n1', 'n2', 'n3'] as const

let world: LoadWorld
let lab: AmbientLab
let target: LoadTarget

beforeAll(async () => {
  world = await LoadWorld.start({ name: 'waypoint-life', nodes: NODES, serves: 'http', waypoint: 'namespace' })
  lab = world.lab
  await scaleTo(2)
  target = await world.target()
}, 60_000)

afterAll(() => world[Symbol.asyncDispose]())

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
  const load = requestLoad(target, { programs: 8, restMs: 10, requestsPerConnection: 25 })
  await load.during(body, { before: 100, after: 200 })
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
