import type { Socket } from 'node:net'
import type { Pod } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { BenchLab, PODS } from '../lab/bench-lab.ts'
import { socks5Connect } from '../lab/socks5.ts'
import { bounded, defineSuite, median } from '../suite.ts'

const NODES = ['n1', 'n2', 'n3', 'n4']
const CONNECTIONS_PER_NODE = 25
const GOAL_MS = 100
const OPEN_TRIES = 200
const RETRY_MS = 50

const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: load, labels: { istio.io/dataplane-mode: ambient } }
---
apiVersion: v1
kind: Pod
metadata: { name: curl, namespace: load }
spec: { nodeName: n1, containers: [{ name: curl, image: curlimages/curl }] }
${NODES.map(
  (node) => `
---
apiVersion: v1
kind: Pod
metadata: { name: echo-${node}, namespace: load, labels: { app: echo } }
spec: { nodeName: ${node}, containers: [{ name: echo, image: istio/tcp-echo-server, ports: [{ containerPort: 9000 }] }] }
`,
).join('')}`

const POLICIES = { group: 'security.istio.io', version: 'v1', resource: 'authorizationpolicies' }
const policy = (account: string) => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'echo', namespace: 'load' },
  spec: { selector: { matchLabels: { app: 'echo' } }, rules: [{ from: [{ source: { serviceAccounts: [account] } }] }] },
})

/** From the API's answer to a policy that revokes a permission to the end of the last connection that it held. */
export default defineSuite({
  name: 'revocation',
  summary: `a permission revoked: ${NODES.length * CONNECTIONS_PER_NODE} connections on ${NODES.length} nodes end`,
  roundsDefault: 20,
  isCheck: true,
  async run({ rounds, say }) {
    await using lab = await BenchLab.start({ name: 'revocation', nodes: NODES, world: WORLD }, 'load')
    const results: Round[] = []
    for (let round = 1; round <= rounds; round += 1) {
      const result = await measure(lab.client)
      results.push(result)
      say(`round ${round}: first ${result.first.toFixed(1)} ms, last ${result.last.toFixed(1)} ms after the answer`)
    }
    return {
      versions: {},
      rows: [
        bounded(
          'revoked: until the last connection ended, median',
          'ms',
          median(results.map(({ last }) => last)),
          GOAL_MS,
        ),
        bounded(
          'revoked: until the last connection ended, worst',
          'ms',
          Math.max(...results.map(({ last }) => last)),
          GOAL_MS,
        ),
        bounded('revoked: from the request on, worst', 'ms', Math.max(...results.map(({ whole }) => whole)), GOAL_MS),
      ],
    }
  },
})

/** Milliseconds; behind the API's answer, so that an end before it is negative. */
interface Round {
  readonly first: number
  readonly last: number
  /** From before the request. */
  readonly whole: number
}

async function measure(client: ApiClient): Promise<Round> {
  await client.applyPatch(POLICIES, policy('default'))
  const sockets = await openAll(client)
  // Not `once`, which throws for the reset that is meant here.
  const ends = sockets.map(
    (socket) => new Promise<number>((resolve) => socket.once('close', () => resolve(performance.now()))),
  )
  const askedMs = performance.now()
  await client.applyPatch(POLICIES, policy('nobody'))
  const answeredMs = performance.now()
  const ended = await Promise.all(ends)
  const last = Math.max(...ended)
  return { first: Math.min(...ended) - answeredMs, last: last - answeredMs, whole: last - askedMs }
}

async function openAll(client: ApiClient): Promise<Socket[]> {
  const { items } = await client.list<Pod>(PODS, { namespace: 'load' })
  const { capture } = items.find(({ metadata }) => metadata.name === 'curl')!.status!.ambientLab!
  const targets = items.filter(({ metadata }) => metadata.labels?.app === 'echo')
  const all = targets.flatMap(({ status }) =>
    Array.from({ length: CONNECTIONS_PER_NODE }, () => open(capture!, status!.podIP!)),
  )
  return Promise.all(all)
}

/** Until the permission has come to the node. */
async function open(capture: { readonly host: string; readonly port: number }, address: string): Promise<Socket> {
  for (let tries = 0; tries < OPEN_TRIES; tries += 1) {
    const socket = await socks5Connect(capture, address, 9000)
    if (socket) return socket
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
  }
  throw new Error(`no connection to ${address} within ${OPEN_TRIES * RETRY_MS} ms`)
}
