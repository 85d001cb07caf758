import { join } from 'node:path'
import { ApiClient } from '@ambient-lab/lab'
import { eventually } from '@ambient-lab/testing'
import { AmbientLab, EchoConnection } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connections, items } from './objects.ts'

/** The promise is 100 ms, and `npm run bench -- revocation` measures it; a loaded machine may take its time. */
const CUT_LIMIT_MS = 1_000
const NODES = ['n1', 'n2', 'n3'] as const

const echo = (node: string) => `
---
apiVersion: v1
kind: Pod
metadata: { name: echo-${node}, namespace: load, labels: { app: echo } }
spec: { nodeName: ${node}, containers: [{ name: echo, image: istio/tcp-echo-server, ports: [{ containerPort: 9000 }] }] }
`
const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: load, labels: { istio.io/dataplane-mode: ambient } }
---
apiVersion: v1
kind: Pod
metadata: { name: curl, namespace: load, labels: { app: curl } }
spec: { nodeName: n1, containers: [{ name: curl, image: curlimages/curl }] }
${NODES.map(echo).join('')}`

const TYPE = { group: 'security.istio.io', version: 'v1', resource: 'authorizationpolicies' }
const policy = (account: string) => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'echo', namespace: 'load' },
  spec: { selector: { matchLabels: { app: 'echo' } }, rules: [{ from: [{ source: { serviceAccounts: [account] } }] }] },
})

let lab: AmbientLab

beforeAll(async () => {
  lab = await AmbientLab.start({ name: 'revocation', nodes: NODES, world: WORLD, readyNamespaces: ['load'] })
})

afterAll(() => lab[Symbol.asyncDispose]())

/** From the caller, which is on the first node, to the pod of each node. */
async function openAll(): Promise<readonly EchoConnection[]> {
  const pods = await items(lab, 'pods', '-n', 'load')
  const statusOf = (name: string) => pods.find(({ metadata }) => metadata.name === name)!.status!
  const capture = await lab.capture('load', 'curl')
  return Promise.all(
    NODES.map(async (node) => {
      const host = String(statusOf(`echo-${node}`).podIP)
      const connection = await EchoConnection.open({ capture, host, port: 9000 })
      await connection.echo(node)
      return connection
    }),
  )
}

test('a permission that is revoked ends what stands on every node, and lets nothing new in', async () => {
  using client = ApiClient.fromKubeconfig(join(lab.folder, 'kubeconfig'))
  await client.applyPatch(TYPE, policy('default'))
  const standing = await eventually(openAll, { timeoutMs: 10_000 })
  await client.applyPatch(TYPE, policy('nobody'))
  const answeredMs = performance.now()
  const cut = await Promise.all(
    standing.map(async ({ closed }) => ({ how: await closed, ms: performance.now() - answeredMs })),
  )
  for (const { ms } of cut) expect(ms).toBeLessThan(CUT_LIMIT_MS)
  await expect(openAll()).rejects.toThrow('SOCKS5: not allowed')
  const ended = (await connections(lab)).filter(({ state, direction }) => state === 'closed' && direction === 'inbound')
  expect(ended.map(({ node, responseFlags }) => `${node} ${responseFlags}`).sort()).toEqual(
    NODES.map((node) => `${node} DENY`),
  )
})
