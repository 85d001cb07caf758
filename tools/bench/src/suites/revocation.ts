import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Pod } from '@ambient-lab/api'
import { ApiClient } from '@ambient-lab/lab'
import { defineSuite, median, type Row } from '../suite.ts'

const NODES = ['n1', 'n2', 'n3', 'n4']
const CONNECTIONS_PER_NODE = 25
const GOAL_MS = 100
const OPEN_TRIES = 200
const RETRY_MS = 50

const LAB = `
apiVersion: ambient.lab/v1
kind: Lab
metadata: { name: revocation }
spec:
  nodes: [${NODES.map((name) => `{ name: ${name} }`).join(', ')}]
  apply: [world.yaml]
`
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

const PODS = { group: '', version: 'v1', resource: 'pods' }
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
    const home = mkdtempSync(join(tmpdir(), 'ambient-bench-'))
    const env = { ...process.env, AMBIENT_HOME: home }
    writeFileSync(join(home, 'lab.yaml'), LAB)
    writeFileSync(join(home, 'world.yaml'), WORLD)
    try {
      await ambient(env, 'up', join(home, 'lab.yaml'), '--wait', '-q')
      await ambient(env, 'wait', 'pods', '--all', '-n', 'load', '--for=condition=Ready', '-q')
      const folder = join(home, 'labs', readdirSync(join(home, 'labs'))[0]!)
      using client = ApiClient.fromKubeconfig(join(folder, 'kubeconfig'))
      const results: Round[] = []
      for (let round = 1; round <= rounds; round += 1) {
        const result = await measure(client)
        results.push(result)
        say(`round ${round}: first ${result.first.toFixed(1)} ms, last ${result.last.toFixed(1)} ms after the answer`)
      }
      return {
        versions: {},
        rows: [
          rowOf('revoked: until the last connection ended, median', median(results.map(({ last }) => last))),
          rowOf('revoked: until the last connection ended, worst', Math.max(...results.map(({ last }) => last))),
          rowOf('revoked: from the request on, worst', Math.max(...results.map(({ whole }) => whole))),
        ],
      }
    } finally {
      await ambient(env, 'down', '-q')
      rmSync(home, { recursive: true, force: true })
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
    const socket = connect(capture)
    socket.on('error', () => {}) // 'close' follows
    const port = [9000 >> 8, 9000 & 0xff]
    socket.write(Buffer.from([5, 1, 0, 5, 1, 0, 1, ...address.split('.').map(Number), ...port]))
    if (await isAccepted(socket)) return socket
    socket.destroy()
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
  }
  throw new Error(`no connection to ${address} within ${OPEN_TRIES * RETRY_MS} ms`)
}

/** Answers to the greeting (2 bytes) and to the request (10). */
function isAccepted(socket: Socket): Promise<boolean> {
  let received = Buffer.alloc(0)
  return new Promise((resolve) => {
    socket.once('close', () => resolve(false))
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length >= 4 && received[3] !== 0) resolve(false)
      if (received.length >= 12) resolve(true)
    })
  })
}

function rowOf(work: string, ms: number): Row {
  const goal = `≤ ${GOAL_MS} ms`
  return { work, peer: '-', unit: 'ms', ours: ms, theirs: null, ratio: null, goal, met: ms <= GOAL_MS }
}

async function ambient(env: NodeJS.ProcessEnv, ...args: string[]): Promise<void> {
  const child = spawn('npx', ['ambient', ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`ambient ${args.join(' ')}: exit ${code}`)
}
