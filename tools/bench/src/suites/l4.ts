import { ambient } from '../l4/ambient.ts'
import { BenchCertificates } from '../l4/certificates.ts'
import { type Cores, pinSelf, planCores } from '../l4/cores.ts'
import { direct } from '../l4/direct.ts'
import { envoy, envoyConnect } from '../l4/envoy.ts'
import { haproxy } from '../l4/haproxy.ts'
import { idleAgentBytes } from '../l4/idle-agent.ts'
import {
  Backend,
  type BackendKind,
  connections,
  download,
  type Moved,
  openIdle,
  pingPong,
  upload,
  wait,
} from '../l4/load.ts'
import type { Pair, Peer } from '../l4/pair.ts'
import { ztunnel } from '../l4/ztunnel.ts'
import { absent, compare, defineSuite, median, type Row, type SuiteContext } from '../suite.ts'

const PEERS: readonly Peer[] = [haproxy, direct, envoy, envoyConnect, ztunnel]

const GIGABIT_BYTES = 125_000_000
const GIB = 2 ** 30
const SECONDS = 2
/** As many again go before, until what is compiled while it runs is compiled. */
const PINGS = 6_000
const PING_BYTES = 1024
const IDLE_CONNECTIONS = 2_000
/** Stand before: the first thousand make a process's tables and heap as large as they will be, for the next ones too. */
const IDLE_BEFORE = 1_000
const CONNECTING_AT_ONCE = 32

type Goal = { readonly atLeast: number } | { readonly atMost: number }

/** One figure of a work; a measurement gives several. */
interface Figure {
  readonly work: string
  readonly unit: string
  /** What our figure should be, by the peer's; undefined where it only informs. */
  readonly goals: Readonly<Record<string, Goal>>
  /** What our figure should be in itself. */
  readonly goal?: { readonly atMost: number }
}

interface Work {
  /** Works with the same backend use one pair, one after the other; memory wants a pair of its own. */
  readonly backend: BackendKind
  readonly isAlone?: boolean
  readonly figures: readonly Figure[]
  /** In the order of the figures; NaN for one that this pair cannot have. */
  measure(pair: Pair, backend: Backend): Promise<readonly number[]>
}

const WORKS: readonly Work[] = [
  bulk(1, 'up'),
  bulk(8, 'up'),
  bulk(1, 'down'),
  bulk(8, 'down'),
  {
    backend: 'echo',
    figures: [
      { work: 'ping-pong 1 KiB, p50', unit: 'ms', goals: { [haproxy.name]: { atMost: 1.5 } } },
      { work: 'ping-pong 1 KiB, p99', unit: 'ms', goals: { [haproxy.name]: { atMost: 1.5 } } },
    ],
    async measure({ door }) {
      const times = await pingPong(door, PING_BYTES, PINGS)
      return [quantile(times, 0.5), quantile(times, 0.99)]
    },
  },
  {
    backend: 'echo',
    figures: [
      { work: 'new connections', unit: '/s', goals: { [haproxy.name]: { atLeast: 5 } } },
      { work: 'new connections, processor time of one', unit: 'µs', goals: {} },
    ],
    async measure(pair) {
      const moved = await connections(pair.door, CONNECTING_AT_ONCE, SECONDS, () => pair.cpuSeconds())
      const cost = moved.cpuSeconds === 0 ? Number.NaN : (moved.cpuSeconds * 1e6) / moved.count
      return [moved.count / moved.seconds, cost]
    },
  },
  {
    backend: 'echo',
    isAlone: true,
    figures: [{ work: 'idle connection, both proxies', unit: 'KB', goals: {}, goal: { atMost: 20 } }],
    async measure(pair) {
      const first = await openIdle(pair.door, IDLE_BEFORE)
      const before = await pair.memory()
      const sockets = await openIdle(pair.door, IDLE_CONNECTIONS)
      await wait(0.5)
      const after = await pair.memory()
      for (const socket of [...first, ...sockets]) socket.destroy()
      return [after === 0 ? Number.NaN : (after - before) / IDLE_CONNECTIONS / 1000]
    },
  },
]

/** Bytes, latency, connections and memory through a source and a destination, beside other proxies. */
export default defineSuite({
  name: 'l4',
  summary:
    'bytes through two ztunnels, beside HAProxy, Envoy and ztunnel pairs (--set works=bulk,idle --set peers=HAProxy)',
  roundsDefault: 5,
  async run(context) {
    const cores = planCores()
    const unpin = pinSelf(cores?.load)
    try {
      const { options } = context
      const works = WORKS.filter(({ figures }) => figures.some(({ work }) => isWanted(options.works, work)))
      const peers = PEERS.filter(({ name }) => isWanted(options.peers, name))
      const samples = await measureAll(context, cores, works, peers)
      const idle = IDLE_AGENTS.filter(([work]) => isWanted(options.works, work))
      const rows = works.flatMap((work) => rowsOf(work, peers, samples))
      for (const [work, lab] of idle) rows.push(await idleRow(work, lab))
      return { versions: versionsOf(cores), rows }
    } finally {
      unpin()
    }
  },
})

const IDLE_AGENTS = [
  ['idle agent', 'empty'],
  ['agent of the demo lab', 'demo'],
] as const

/** Whether a name has one of the parts that `--set` lists. */
function isWanted(parts: string | undefined, name: string): boolean {
  return parts === undefined || parts.split(',').some((part) => name.toLowerCase().includes(part.toLowerCase()))
}

/** By `work, peer`: one number a round. */
type Samples = Map<string, number[]>

/** Peers take turns in each round, so that what the machine does besides falls on all of them. */
async function measureAll(
  { rounds, say }: SuiteContext,
  cores: Cores | undefined,
  works: readonly Work[],
  others: readonly Peer[],
): Promise<Samples> {
  using certificates = new BenchCertificates()
  const samples: Samples = new Map()
  const peers = [ambient, ...others.filter(({ version }) => version !== undefined)]
  for (let round = 1; round <= rounds; round += 1) {
    for (const group of groups(works)) {
      for (const peer of peers) {
        const backend = new Backend(group[0]!.backend)
        const pair = await peer.start({ certificates, backendPort: await backend.listen(), cores })
        try {
          for (const work of group) {
            const values = await work.measure(pair, backend)
            for (const [index, figure] of work.figures.entries()) add(samples, figure, peer, values[index]!)
            say(`round ${round}, ${peer.name}: ${describe(work, values)}`)
          }
        } finally {
          pair.stop()
          backend.close()
        }
      }
    }
  }
  return samples
}

function describe({ figures }: Work, values: readonly number[]): string {
  const texts = figures.map(({ work, unit }, index) => `${work} ${values[index]!.toPrecision(3)} ${unit}`)
  return texts.filter((_, index) => !Number.isNaN(values[index])).join(', ') || 'nothing to measure'
}

/** Works that share a pair. */
function groups(works: readonly Work[]): readonly (readonly Work[])[] {
  const byPair = Map.groupBy(works, ({ backend, isAlone }) => `${backend} ${isAlone ?? false}`)
  return [...byPair.values()]
}

function add(samples: Samples, { work }: Figure, { name }: Peer, value: number): void {
  if (Number.isNaN(value)) return
  const key = keyOf(work, name)
  samples.set(key, [...(samples.get(key) ?? []), value])
}

function keyOf(work: string, peer: string): string {
  return `${work}, ${peer}`
}

function rowsOf({ figures }: Work, peers: readonly Peer[], samples: Samples): Row[] {
  return figures.flatMap((figure) => {
    const ours = samples.get(keyOf(figure.work, ambient.name)) ?? []
    const rows = peers.flatMap((peer) => rowOf(figure, peer, ours, samples) ?? [])
    return figure.goal ? [ownRow(figure, ours, figure.goal.atMost), ...rows] : rows
  })
}

function rowOf(
  { work, unit, goals }: Figure,
  peer: Peer,
  ours: readonly number[],
  samples: Samples,
): readonly Row[] | undefined {
  const goal = goals[peer.name]
  const row = { work, peer: peer.name, unit }
  if (peer.version === undefined) return [absent({ ...row, goal: '' }, ours, peer.absence)]
  const theirs = samples.get(keyOf(work, peer.name))
  // Without a proxy there is neither its processor time nor its memory.
  return theirs && [compare({ ...row, ours, theirs, goal })]
}

/** A figure with a goal of its own. */
function ownRow({ work, unit }: Pick<Figure, 'work' | 'unit'>, ours: readonly number[], most: number): Row {
  const value = median(ours)
  return {
    work,
    peer: '-',
    unit,
    ours: value,
    theirs: null,
    ratio: null,
    goal: `≤ ${most} ${unit}`,
    met: value <= most,
  }
}

/** The demo's agents have simulated workloads, a program of their own in the same process: told, and not judged. */
async function idleRow(work: string, lab: 'empty' | 'demo'): Promise<Row> {
  const figure = { work: `${work}, resident`, unit: 'MB' }
  const megabytes = await idleAgentBytes(lab).then((bytes) => bytes / 1e6, String)
  if (typeof megabytes !== 'number') return absent({ ...figure, peer: '-', goal: '' }, [], megabytes)
  const row = ownRow(figure, [megabytes], 80)
  return lab === 'empty' ? row : { ...row, goal: '', met: null }
}

function bulk(streams: number, way: 'up' | 'down'): Work {
  const name = `bulk ${streams} stream${streams > 1 ? 's' : ''} ${way === 'up' ? 'to' : 'from'} the workload`
  return {
    backend: way === 'up' ? 'sink' : 'source',
    figures: [
      { work: name, unit: 'Gbit/s', goals: { [haproxy.name]: { atLeast: 1 }, [ztunnel.name]: { atLeast: 0.8 } } },
      { work: `${name}, processor time`, unit: 's/GiB', goals: {} },
    ],
    async measure(pair, backend) {
      const cpu = () => pair.cpuSeconds()
      const moved: Moved = await (way === 'up'
        ? upload(pair.door, backend, streams, SECONDS, cpu)
        : download(pair.door, streams, SECONDS, cpu))
      const cost = moved.cpuSeconds === 0 ? Number.NaN : (moved.cpuSeconds * GIB) / moved.count
      return [moved.count / GIGABIT_BYTES / moved.seconds, cost]
    },
  }
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.floor(sorted.length * q)]!
}

function versionsOf(cores: Cores | undefined): Record<string, string> {
  const versions = PEERS.flatMap(({ name, version }) => (version === undefined ? [] : [[name, version] as const]))
  const layout = cores ? `load ${cores.load}, source ${cores.source}, destination ${cores.destination}` : 'not pinned'
  return { ...Object.fromEntries(versions), cores: layout }
}
