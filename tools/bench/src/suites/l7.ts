import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { planCores } from '../l4/cores.ts'
import { envoy } from '../l7/envoy.ts'
import { haproxy } from '../l7/haproxy.ts'
import type { HttpPeer } from '../l7/http-peer.ts'
import { NGINX_VERSION, nginx, startBackend } from '../l7/nginx.ts'
import { waypoint } from '../l7/waypoint.ts'
import { runLoad, WRK_VERSION } from '../l7/wrk.ts'
import { absent, compare, defineSuite, type Row, type SuiteContext } from '../suite.ts'

const SECONDS = 3
/** A program that is compiled while it runs is measured when that is done. */
const WARM_UP_SECONDS = 3
const CONNECTIONS = 32

/** Requests of one kind. */
interface Work {
  readonly name: string
  readonly bodyBytes: number
}

const WORKS: readonly Work[] = [
  { name: 'keep-alive GET', bodyBytes: 0 },
  { name: 'POST of 1 KiB', bodyBytes: 1024 },
  { name: 'POST of 64 KiB', bodyBytes: 64 * 1024 },
]

const OURS = waypoint('full')
const PEERS: readonly HttpPeer[] = [nginx, haproxy, envoy, waypoint('plain')]

/** Figures of one peer doing one work, a value for each round. */
interface Figures {
  readonly rate: number[]
  readonly cpuMicros: number[]
  readonly p99: number[]
}

type Samples = Map<string, Figures>

/** A waypoint's chain (route, policy, metrics, access log) between plain sockets, beside proxies that people know. */
export default defineSuite({
  name: 'l7',
  summary: 'requests through a waypoint’s chain, beside nginx, HAProxy and Envoy, one core each',
  roundsDefault: 5,
  async run(context) {
    const isPossible = NGINX_VERSION !== undefined && WRK_VERSION !== undefined
    const samples = isPossible ? await measureAll(context) : new Map()
    return { rows: WORKS.flatMap((work) => rowsOf(work, samples)), versions: versions() }
  },
})

/** Peers take turns in each round, so that what the machine does besides falls on all of them. */
async function measureAll({ rounds, say }: SuiteContext): Promise<Samples> {
  const folder = mkdtempSync(join(tmpdir(), 'ambient-bench-l7-'))
  const cores = planCores()
  const samples: Samples = new Map()
  const backend = await startBackend({ folder, core: cores?.load })
  try {
    for (let round = 1; round <= rounds; round += 1) {
      for (const peer of [OURS, ...PEERS]) {
        if (peer.version === undefined) continue
        const proxy = await peer.start({ folder, backendPort: backend.port, core: cores?.source })
        try {
          for (const work of WORKS) {
            const init = { folder, port: proxy.port, core: cores?.load, connections: CONNECTIONS, ...work }
            await runLoad({ ...init, seconds: WARM_UP_SECONDS })
            const before = proxy.cpuSeconds()
            const result = await runLoad({ ...init, seconds: SECONDS })
            const cpuMicros = ((proxy.cpuSeconds() - before) * 1e6) / result.requests
            if (result.failures > 0) throw new Error(`${peer.name}: ${result.failures} requests failed`)
            const figures = figuresOf(samples, work, peer)
            figures.rate.push(result.perSecond)
            figures.cpuMicros.push(cpuMicros)
            if (Number.isFinite(result.p99)) figures.p99.push(result.p99)
            say(
              `round ${round}, ${peer.name}, ${work.name}: ${Math.round(result.perSecond)}/s, ${cpuMicros.toFixed(1)} µs`,
            )
          }
        } finally {
          proxy.stop()
        }
      }
    }
  } finally {
    backend.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return samples
}

function figuresOf(samples: Samples, { name }: Work, peer: HttpPeer): Figures {
  const key = `${name}, ${peer.name}`
  const figures = samples.get(key) ?? { rate: [], cpuMicros: [], p99: [] }
  samples.set(key, figures)
  return figures
}

/** The goals of a keep-alive GET; the others are told, not judged. */
const GOALS: Readonly<Record<string, { atLeast: number }>> = {
  [nginx.name]: { atLeast: 0.7 },
  [envoy.name]: { atLeast: 1 },
}

function rowsOf(work: Work, samples: Samples): Row[] {
  return PEERS.flatMap((peer): Row[] => {
    const common = { work: work.name, peer: peer.name }
    const goal = work.bodyBytes === 0 ? GOALS[peer.name] : undefined
    const ours = samples.get(`${work.name}, ${OURS.name}`)
    const theirs = samples.get(`${work.name}, ${peer.name}`)
    const goalText = goal ? `≥ ${goal.atLeast} ×` : ''
    if (!ours || !theirs) {
      const reason = samples.size === 0 ? 'needs nginx for the backend and wrk for the load' : peer.absence
      return [absent({ ...common, unit: 'requests/s', goal: goalText }, ours?.rate ?? [], reason)]
    }
    return [
      compare({ ...common, unit: 'requests/s', ours: ours.rate, theirs: theirs.rate, goal }),
      compare({ ...common, unit: 'µs of processor', ours: ours.cpuMicros, theirs: theirs.cpuMicros, goal: undefined }),
      compare({ ...common, unit: 'ms p99', ours: ours.p99, theirs: theirs.p99, goal: undefined }),
    ]
  })
}

function versions(): Record<string, string> {
  const known = PEERS.flatMap(({ name, version }) => (version === undefined ? [] : [[name, version] as const]))
  return { ...Object.fromEntries(known), ...(WRK_VERSION !== undefined && { wrk: WRK_VERSION }) }
}
