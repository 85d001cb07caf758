import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pod } from '@ambient-lab/api'
import { echoDeployment, LOAD_NAMESPACE, loadWorld, requestLoad } from '@ambient-lab/testing/mesh'
import { residentBytes } from '../l4/process-usage.ts'
import { BenchLab, PODS } from '../lab/bench-lab.ts'
import { bounded, defineSuite, exact, median, type Row, type SuiteContext } from '../suite.ts'

const REQUESTS_DEFAULT = 200_000
const CONNECTIONS = 32
const REPLICAS = 2
const MARKS = 20
/** Until code is compiled and tables have their sizes. */
const WARM_MARKS = 6
const ROUTE_CHANGE_MS = 250
const SCALE_MS = 5_000
/** Certificates are renewed at half of it. */
const CERTIFICATE_TTL_SECONDS = 60
/** After so many a program opens another connection: both kinds of client meet every change. */
const REQUESTS_PER_CONNECTION = 1_000
/** Requests between two looks at how far it is. */
const PROGRESS_STEP = 10_000
const FAILURES_TOLD = 20
/** What the memory of a process moves by itself: the collector lets it grow before it looks. */
const GROWTH_BYTES_MAX = 12_000_000
const GROWN_FILES_MAX = 24

const route = (version: number) => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'echo', namespace: LOAD_NAMESPACE },
  spec: {
    parentRefs: [{ group: '', kind: 'Service', name: 'echo' }],
    rules: [
      {
        filters: [
          {
            type: 'ResponseHeaderModifier',
            responseHeaderModifier: { set: [{ name: 'x-version', value: `${version}` }] },
          },
        ],
        backendRefs: [{ name: 'echo', port: 80 }],
      },
    ],
  },
})
const DEPLOYMENTS = { group: 'apps', version: 'v1', resource: 'deployments' }
const ROUTES = { group: 'gateway.networking.k8s.io', version: 'v1', resource: 'httproutes' }

/**
 * Requests through the replicas of a waypoint for as long as one likes, while routes, endpoints and certificates change
 * under them: none may fail, each is counted once, and nothing grows.
 */
export default defineSuite({
  name: 'soak',
  summary:
    'N requests while routes, endpoints and certificates change: nothing fails or grows (--set requests=2000000)',
  roundsDefault: 1,
  isCheck: true,
  async run(context) {
    const settings = { SECRET_TTL: `${CERTIFICATE_TTL_SECONDS}s` }
    const world = { name: 'soak', nodes: ['n1', 'n2'], serves: 'http', waypoint: 'namespace', replicas: 3 } as const
    const readyNamespaces = [LOAD_NAMESPACE]
    await using lab = await BenchLab.start({ ...world, world: loadWorld(world), readyNamespaces, settings })
    await lab.client.applyPatch(ROUTES, route(0))
    await lab.ambient('scale', 'deploy/waypoint', '--replicas', String(REPLICAS), '-n', LOAD_NAMESPACE, '--wait', '-q')
    await lab.ambient('wait', 'pods', '--all', '-n', LOAD_NAMESPACE, '--for=condition=Ready', '-q')
    return { versions: {}, rows: await soak(lab, context) }
  },
})

/** What the processes of the lab held when a part of the requests was done. */
interface Mark {
  readonly process: string
  readonly residentBytes: number
  readonly openFiles: number
}

async function soak(lab: BenchLab, { options, say }: SuiteContext): Promise<Row[]> {
  const requests = Number(options.requests ?? REQUESTS_DEFAULT)
  const processes = await processesOf(lab)
  const before = await recorded(lab)
  const marks: Mark[][] = []
  const start = performance.now()
  const look = () => {
    const mark = processes.map(({ name, pid }) => ({
      process: name,
      residentBytes: residentBytes(pid),
      openFiles: readdirSync(`/proc/${pid}/fd`).length,
    }))
    marks.push(mark)
    return mark.map(({ process, residentBytes, openFiles }) => {
      return `${process} ${(residentBytes / 1e6).toFixed(0)} MB ${openFiles} files`
    })
  }
  const target = { capture: await lab.capture(LOAD_NAMESPACE, 'curl'), host: 'echo', port: 80 }
  const load = requestLoad(target, {
    programs: CONNECTIONS,
    attempts: requests,
    requestsPerConnection: REQUESTS_PER_CONNECTION,
    onCompleted: (done) => {
      if (done % PROGRESS_STEP !== 0 || done < ((marks.length + 1) * requests) / (MARKS + 1)) return
      say(`${done} of ${requests}, ${((performance.now() - start) / 1000).toFixed(0)} s: ${look().join(', ')}`)
    },
  })
  const churn = new Churn(lab)
  await load.ended
  const seconds = (performance.now() - start) / 1000
  const changes = await churn.stop()
  for (const { number, error } of load.failed.slice(0, FAILURES_TOLD)) say(`request ${number}: ${error}`)
  const counted = (await recorded(lab)) - before
  return [
    {
      ...exact('requests that failed', load.failed.length, 0),
      note: `${requests} at ${Math.round(requests / seconds)}/s`,
    },
    exact('requests that the waypoints recorded', counted, requests),
    { ...exact('changes that could not be made', changes.failed, 0), note: changes.text },
    ...processes.flatMap(({ name }) => growthRows(name, marks)),
  ]
}

function growthRows(name: string, marks: readonly (readonly Mark[])[]): Row[] {
  const own = marks.map((mark) => mark.find(({ process }) => process === name)!)
  const third = Math.floor((own.length - WARM_MARKS) / 3)
  const grown = (key: 'residentBytes' | 'openFiles') =>
    median(own.slice(-third).map((mark) => mark[key])) -
    median(own.slice(WARM_MARKS, WARM_MARKS + third).map((mark) => mark[key]))
  return [
    bounded(`${name}: growth of resident memory`, 'MB', grown('residentBytes') / 1e6, GROWTH_BYTES_MAX / 1e6),
    bounded(`${name}: more files open`, '', grown('openFiles'), GROWN_FILES_MAX),
  ]
}

/** Changes what requests run on, until it is stopped. */
class Churn {
  readonly #lab: BenchLab
  readonly #stop = new AbortController()
  readonly #running: Promise<unknown>
  #routes = 0
  #scales = 0
  #failed = 0

  constructor(lab: BenchLab) {
    this.#lab = lab
    this.#running = Promise.all([
      this.#every(ROUTE_CHANGE_MS, () => this.#lab.client.applyPatch(ROUTES, route(++this.#routes))),
      this.#every(SCALE_MS, () => this.#lab.client.applyPatch(DEPLOYMENTS, echoDeployment(3 + (++this.#scales % 2)))),
    ])
  }

  async stop(): Promise<{ readonly failed: number; readonly text: string }> {
    this.#stop.abort()
    await this.#running
    return { failed: this.#failed, text: `${this.#routes} of routes, ${this.#scales} of endpoints` }
  }

  async #every(ms: number, change: () => Promise<unknown>): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await sleep(ms, undefined, { signal }).catch(() => {}) // stopped
      if (!signal.aborted) await change().catch(() => (this.#failed += 1))
    }
  }
}

async function processesOf(lab: BenchLab): Promise<{ readonly name: string; readonly pid: number }[]> {
  const { items } = JSON.parse(await lab.ambient('lab', 'inspect', '-o', 'json')) as {
    items: { role: string; name: string; pid: number }[]
  }
  return items
    .filter(({ role }) => role !== 'supervisor')
    .map(({ role, name, pid }) => ({ name: role === 'node-agent' ? name : role, pid }))
}

/** Requests that the replicas of the waypoint have counted so far. */
async function recorded(lab: BenchLab): Promise<number> {
  const { items } = await lab.client.list<Pod>(PODS, {
    namespace: LOAD_NAMESPACE,
    labelSelector: 'gateway.networking.k8s.io/gateway-name=waypoint',
  })
  let sum = 0
  for (const { status } of items) {
    const { host, port } = status!.ambientLab!.ports!['15020']!
    const text = await (await fetch(`http://${host}:${port}/stats/prometheus`)).text()
    for (const [, value] of text.matchAll(/^istio_requests_total{.*} (\d+)$/gm)) sum += Number(value)
  }
  return sum
}
