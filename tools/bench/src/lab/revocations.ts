import type { Pod } from '@ambient-lab/api'
import type { ApiClient } from '@ambient-lab/lab'
import { EchoConnection } from '@ambient-lab/testing/mesh'
import { PODS } from './bench-lab.ts'

export const NAMESPACE = 'load'
const POLICIES = { group: 'security.istio.io', version: 'v1', resource: 'authorizationpolicies' }
const OPEN_TRIES = 200
const RETRY_MS = 50

/** A caller on the first node, and something to call on each. */
export function revocationWorld(nodes: readonly string[]): string {
  const pod = (name: string, node: string | undefined, labels: string, container: string) => `
---
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${NAMESPACE}, labels: ${labels} }
spec: { nodeName: ${node}, containers: [${container}] }
`
  const echo = '{ name: echo, image: istio/tcp-echo-server, ports: [{ containerPort: 9000 }] }'
  return [
    `
apiVersion: v1
kind: Namespace
metadata: { name: ${NAMESPACE}, labels: { istio.io/dataplane-mode: ambient } }
`,
    pod('curl', nodes[0], '{ app: curl }', '{ name: curl, image: curlimages/curl }'),
    ...nodes.map((node) => pod(`echo-${node}`, node, '{ app: echo }', echo)),
  ].join('')
}

/** Milliseconds; behind the API's answer, so that an end before it is negative. */
export interface Revocation {
  readonly first: number
  readonly last: number
  /** From before the request. */
  readonly whole: number
}

/** Allows, opens connections to every node, and takes the permission away: until each of them has ended. */
export async function measureRevocation(client: ApiClient, connectionsPerNode: number): Promise<Revocation> {
  await client.applyPatch(POLICIES, policy('default'))
  const connections = await openAll(client, connectionsPerNode)
  const ends = connections.map(({ closed }) => closed.then(() => performance.now()))
  const askedMs = performance.now()
  await client.applyPatch(POLICIES, policy('nobody'))
  const answeredMs = performance.now()
  const ended = await Promise.all(ends)
  const last = Math.max(...ended)
  return { first: Math.min(...ended) - answeredMs, last: last - answeredMs, whole: last - askedMs }
}

function policy(account: string) {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'echo', namespace: NAMESPACE },
    spec: {
      selector: { matchLabels: { app: 'echo' } },
      rules: [{ from: [{ source: { serviceAccounts: [account] } }] }],
    },
  }
}

async function openAll(client: ApiClient, perNode: number): Promise<EchoConnection[]> {
  const { items } = await client.list<Pod>(PODS, { namespace: NAMESPACE })
  const { capture } = items.find(({ metadata }) => metadata.name === 'curl')!.status!.ambientLab!
  const targets = items.filter(({ metadata }) => metadata.labels?.app === 'echo')
  const all = targets.flatMap(({ status }) => Array.from({ length: perNode }, () => open(capture!, status!.podIP!)))
  return Promise.all(all)
}

/** Until the permission has come to the node. */
async function open(
  capture: { readonly host: string; readonly port: number },
  address: string,
): Promise<EchoConnection> {
  for (let tries = 0; tries < OPEN_TRIES; tries += 1) {
    const connection = await EchoConnection.open({ capture, host: address, port: 9000 }).catch(() => undefined)
    if (connection) return connection
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
  }
  throw new Error(`no connection to ${address} within ${OPEN_TRIES * RETRY_MS} ms`)
}
