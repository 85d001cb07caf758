import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Cores, planCores } from '../l4/cores.ts'
import { envoy } from '../l7/envoy.ts'
import { H2LOAD_VERSION, runH2Load } from '../l7/h2load.ts'
import { haproxy } from '../l7/haproxy.ts'
import { GRPC_PATH, type HttpPeer, type HttpProxy } from '../l7/http-peer.ts'
import type { LoadInit, LoadResult } from '../l7/load.ts'
import { NGINX_VERSION, nginx, startBackend } from '../l7/nginx.ts'
import { httpProxy3, nodeHttp } from '../l7/node-proxies.ts'
import { TOKEN } from '../l7/token.ts'
import { waypoint } from '../l7/waypoint.ts'
import { runWrk, WRK_VERSION } from '../l7/wrk.ts'
import { absent, compare, defineSuite, type Row, type SuiteContext } from '../suite.ts'

const SECONDS = 2
/** A program that is compiled while it runs is measured when that is done. */
const WARM_UP_SECONDS = 3
const CONNECTIONS = 32
const HTTP2_CONNECTIONS = 8
const HTTP2_STREAMS = 10
/** Of what the proxy itself can do at most: latency without a queue that grows. */
const SHARE_OF_MAXIMUM = 0.7

const [OURS, OURS_PLAIN, OURS_WITH_TOKEN] = [waypoint('full'), waypoint('plain'), waypoint('jwt')]
const [ENVOY, ENVOY_WITH_TOKEN] = [envoy('full'), envoy('jwt')]
const PROXIES: readonly HttpPeer[] = [nginx, haproxy, ENVOY, OURS_PLAIN]
const HTTP1_ONLY: readonly HttpPeer[] = [...PROXIES, nodeHttp, httpProxy3]

type Goal = { readonly atLeast: number } | { readonly atMost: number }
type Measure = 'rate' | 'cpuMicros' | 'p50' | 'p99'
const UNITS: Readonly<Record<Measure, string>> = {
  rate: 'requests/s',
  cpuMicros: 'µs of processor',
  p50: 'ms p50',
  p99: 'ms p99',
}

/** Requests of one kind, and who is compared in it. */
interface Work {
  readonly name: string
  readonly ours: HttpPeer
  readonly peers: readonly HttpPeer[]
  readonly measures: readonly Measure[]
  readonly goals?: readonly { readonly peer: HttpPeer; readonly measure: Measure; readonly goal: Goal }[]
  run(proxy: HttpProxy, common: CommonLoad, maximum: number): Promise<LoadResult>
}

type CommonLoad = Pick<LoadInit, 'folder' | 'core' | 'seconds'>

const NO_BODY = Buffer.alloc(0)
const KEEP_ALIVE_GET = 'keep-alive GET'

const WORKS: readonly Work[] = [
  {
    name: KEEP_ALIVE_GET,
    ours: OURS,
    peers: HTTP1_ONLY,
    measures: ['rate', 'cpuMicros'],
    goals: [
      { peer: nginx, measure: 'rate', goal: { atLeast: 0.7 } },
      { peer: ENVOY, measure: 'rate', goal: { atLeast: 1 } },
    ],
    run: wrk({}),
  },
  {
    name: `GET at ${SHARE_OF_MAXIMUM * 100} % of its own maximum`,
    ours: OURS,
    peers: HTTP1_ONLY,
    measures: ['p50', 'p99'],
    goals: [{ peer: ENVOY, measure: 'p99', goal: { atMost: 1.5 } }],
    run: ({ port }, common, maximum) =>
      runH2Load({
        ...{ ...common, port, connections: CONNECTIONS, body: NO_BODY, headers: [], warmUpSeconds: 1 },
        ...{ path: '/', protocol: 'HTTP/1.1', streams: 1, perSecond: maximum * SHARE_OF_MAXIMUM },
      }),
  },
  { name: 'POST of 1 KiB', ours: OURS, peers: PROXIES, measures: ['rate', 'cpuMicros'], run: wrk({ bodyBytes: 1024 }) },
  {
    name: 'POST of 64 KiB',
    ours: OURS,
    peers: PROXIES,
    measures: ['rate', 'cpuMicros'],
    run: wrk({ bodyBytes: 64 * 1024 }),
  },
  {
    name: 'GET on a new connection',
    ours: OURS,
    peers: PROXIES,
    measures: ['rate', 'cpuMicros'],
    run: wrk({ headers: ['connection: close'] }),
  },
  {
    name: 'HTTP/2 GET',
    ours: OURS,
    peers: PROXIES,
    measures: ['rate', 'cpuMicros'],
    run: http2({ path: '/' }),
  },
  {
    name: 'gRPC call',
    ours: OURS,
    peers: PROXIES,
    measures: ['rate', 'cpuMicros'],
    run: http2({
      path: `${GRPC_PATH}Method`,
      body: Buffer.from([0, 0, 0, 0, 3, 1, 2, 3]),
      headers: ['content-type: application/grpc', 'te: trailers'],
    }),
  },
  {
    name: 'keep-alive GET with a token',
    ours: OURS_WITH_TOKEN,
    peers: [ENVOY_WITH_TOKEN],
    measures: ['rate', 'cpuMicros'],
    run: wrk({ headers: [`authorization: Bearer ${TOKEN}`] }),
  },
]

function wrk({ bodyBytes = 0, headers = [] }: { readonly bodyBytes?: number; readonly headers?: readonly string[] }) {
  return ({ port }: HttpProxy, common: CommonLoad) =>
    runWrk({ ...common, port, connections: CONNECTIONS, body: Buffer.alloc(bodyBytes, 'x'), headers })
}

function http2(init: { readonly path: string; readonly body?: Buffer; readonly headers?: readonly string[] }) {
  const { path, body = NO_BODY, headers = [] } = init
  return ({ http2Port: port }: HttpProxy, common: CommonLoad) =>
    runH2Load({
      ...{ ...common, port, connections: HTTP2_CONNECTIONS, streams: HTTP2_STREAMS, body, headers, path },
      ...{ protocol: 'HTTP/2', warmUpSeconds: 0 },
    })
}

/** Figures of one party doing one work, a value for each round. */
type Figures = Record<Measure, number[]>
/** By `work, party`. */
type Samples = Map<string, Figures>

/** A waypoint's chain (route, policy, metrics, access log) between plain sockets, beside proxies that people know. */
export default defineSuite({
  name: 'l7',
  summary: 'requests through a waypoint’s chain, beside nginx, HAProxy, Envoy and Node’s own (--set works=GET,HTTP/2)',
  roundsDefault: 5,
  async run(context) {
    const wanted = context.options.works?.split(',')
    const works = WORKS.filter(({ name }) => !wanted || wanted.some((part) => name.includes(part)))
    const isPossible = NGINX_VERSION !== undefined && WRK_VERSION !== undefined && H2LOAD_VERSION !== undefined
    const samples = isPossible ? await measureAll(works, context) : new Map()
    return { rows: works.flatMap((work) => rowsOf(work, samples)), versions: versions() }
  },
})

/** Parties take turns in each round, so that what the machine does besides falls on all of them. */
async function measureAll(works: readonly Work[], { rounds, say }: SuiteContext): Promise<Samples> {
  const folder = mkdtempSync(join(tmpdir(), 'ambient-bench-l7-'))
  const cores = planCores()
  const samples: Samples = new Map()
  const backend = await startBackend({ folder, core: cores?.load })
  const parties = [...new Set(works.flatMap(({ ours, peers }) => [ours, ...peers]))]
  try {
    for (let round = 1; round <= rounds; round += 1) {
      for (const party of parties.filter(({ version }) => version !== undefined)) {
        const own = works.filter(({ ours, peers }) => ours === party || peers.includes(party))
        const talk = (line: string) => say(`round ${round}, ${party.name}, ${line}`)
        await measureOne({ party, works: own, folder, cores, backend, samples, talk })
      }
    }
  } finally {
    backend.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return samples
}

async function measureOne(init: {
  readonly party: HttpPeer
  readonly works: readonly Work[]
  readonly folder: string
  readonly cores: Cores | undefined
  readonly backend: HttpProxy
  readonly samples: Samples
  readonly talk: (line: string) => void
}): Promise<void> {
  const { party, works, folder, cores, backend, samples, talk } = init
  const { port: backendPort, http2Port: grpcPort } = backend
  const proxy = await party.start({ folder, backendPort, grpcPort, core: cores?.source })
  const common = { folder, core: cores?.load }
  let maximum = Number.NaN
  try {
    for (const work of works) {
      await work.run(proxy, { ...common, seconds: WARM_UP_SECONDS }, maximum)
      const before = proxy.cpuSeconds()
      const result = await work.run(proxy, { ...common, seconds: SECONDS }, maximum)
      const cpuMicros = ((proxy.cpuSeconds() - before) * 1e6) / result.requests
      const failed = `${result.failures} of ${result.requests} failed`
      // A peer may take an answer that comes before the end of its request for an error; we do not.
      if (result.failures > 0 && work.ours === party) throw new Error(`${party.name}, ${work.name}: ${failed}`)
      if (work.name === KEEP_ALIVE_GET) maximum = result.perSecond
      const figures = { rate: result.perSecond, cpuMicros, p50: result.p50, p99: result.p99 }
      add(samples, work, party, figures)
      const { rate, p50, p99 } = figures
      const time = `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`
      talk(
        `${work.name}: ${Math.round(rate)}/s, ${cpuMicros.toFixed(1)} µs, ${time}${result.failures > 0 ? `, ${failed}` : ''}`,
      )
    }
  } finally {
    proxy.stop()
  }
}

function add(samples: Samples, { name }: Work, party: HttpPeer, figures: Readonly<Record<Measure, number>>): void {
  const key = `${name}, ${party.name}`
  const known = samples.get(key) ?? { rate: [], cpuMicros: [], p50: [], p99: [] }
  samples.set(key, known)
  for (const measure of Object.keys(known) as Measure[]) known[measure].push(figures[measure])
}

function rowsOf(work: Work, samples: Samples): Row[] {
  const { name, ours: us, peers, measures, goals = [] } = work
  const ours = samples.get(`${name}, ${us.name}`)
  return peers.flatMap((peer) => {
    const theirs = samples.get(`${name}, ${peer.name}`)
    return measures.map((measure): Row => {
      const goal = goals.find((each) => each.peer === peer && each.measure === measure)?.goal
      const common = { work: name, peer: peer.name, unit: UNITS[measure] }
      if (ours && theirs) return compare({ ...common, ours: ours[measure], theirs: theirs[measure], goal })
      const reason = samples.size === 0 ? 'needs nginx for the backend, wrk and h2load for the load' : peer.absence
      const goalText = goal === undefined ? '' : 'atLeast' in goal ? `≥ ${goal.atLeast} ×` : `≤ ${goal.atMost} ×`
      return absent({ ...common, goal: goalText }, ours?.[measure] ?? [], reason)
    })
  })
}

function versions(): Record<string, string> {
  const known = HTTP1_ONLY.map(({ name, version }) => [name, version] as const)
  const loads = [['wrk', WRK_VERSION] as const, ['h2load', H2LOAD_VERSION] as const]
  const present = [...known, ...loads].flatMap(([name, version]) =>
    version === undefined ? [] : [[name, version] as const],
  )
  return Object.fromEntries(present)
}
