/**
 * Bytes through a source and a destination ztunnel, against a pair of HAProxy with mutual TLS. Run it with
 * `node --conditions=@ambient-lab/source libs/dataplane/bench/tunnel.bench.ts [--rounds 5] [--only bulk-1] [--prof FOLDER]`.
 * Both proxies of a pair share core 1, load and backend are on core 0 (`taskset -c 0`); pairs take turns, so that the
 * noise of the machine falls on both; figures are ratios of medians. CPU is what both proxies used for the same work:
 * it tells their cost also where the load, or somebody else, is what limits the rate.
 */
import { parseArgs } from 'node:util'
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
} from './load.ts'
import { ambientPair, haproxyPair, haproxyVersion, makeCertificates, type Pair, removeCertificates } from './pairs.ts'

interface Sample {
  readonly value: number
  /** Processor time of both proxies for a unit of work. */
  readonly cost?: number
}

interface Work {
  readonly name: string
  readonly unit: string
  readonly backend: BackendKind
  /** How our median should compare to theirs. */
  readonly goal: string
  measure(pair: Pair, backend: Backend): Promise<Sample>
}

const GIGABIT = 125_000_000
const IDLE_STREAMS = 2000
const SECONDS = 2

const WORKS: readonly Work[] = [
  bulk('bulk-1', 1, 'up'),
  bulk('bulk-8', 8, 'up'),
  bulk('bulk-1-down', 1, 'down'),
  bulk('bulk-8-down', 8, 'down'),
  ping('ping-p50', 0.5),
  ping('ping-p99', 0.99),
  {
    name: 'connections',
    unit: '/s',
    backend: 'echo',
    goal: '≥ 5',
    measure: async (pair) => rate(await connections(pair.port, 32, SECONDS, () => pair.cpuSeconds()), 1),
  },
  {
    name: 'idle',
    unit: 'KB',
    backend: 'echo',
    goal: '≤ 20 KB',
    async measure(pair) {
      await closeAll(await openIdle(pair.port, 200))
      const before = await pair.memory()
      const sockets = await openIdle(pair.port, IDLE_STREAMS)
      await wait(1)
      const after = await pair.memory()
      await closeAll(sockets)
      return { value: (after - before) / IDLE_STREAMS / 1000 }
    },
  },
]

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
    prof: { type: 'string' },
    alone: { type: 'boolean', default: false },
  },
})
const folder = makeCertificates()
const peer = values.alone ? undefined : haproxyVersion()
const nodeFlags = values.prof ? ['--cpu-prof', `--cpu-prof-dir=${values.prof}`, '--cpu-prof-interval=200'] : []
console.log(`node ${process.version}; ${peer ?? 'without haproxy: no comparison'}`)
try {
  for (const work of WORKS) if (!values.only || values.only.split(',').includes(work.name)) await run(work)
} finally {
  removeCertificates(folder)
}
process.exit(0)

async function run(work: Work): Promise<void> {
  const samples: Record<string, Sample[]> = { ambient: [], haproxy: [] }
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const start of peer ? [ambientPair, haproxyPair] : [ambientPair]) {
      const backend = new Backend(work.backend)
      const pair = await start(folder, await backend.listen(), nodeFlags)
      await wait(0.3)
      samples[pair.name]!.push(await work.measure(pair, backend))
      pair.stop()
      backend.close()
    }
  }
  const [ours, theirs] = [samples.ambient!, samples.haproxy!]
  const [value, cost] = [ratio(ours, theirs, 'value'), ratio(theirs, ours, 'cost')]
  console.log(
    `${work.name.padEnd(12)} ambient ${show(median(ours, 'value')).padStart(7)}  haproxy ${show(median(theirs, 'value')).padStart(7)} ${work.unit.padEnd(7)}` +
      ` ratio ${show(value)}  goal ${work.goal.padEnd(7)} work per CPU ${show(cost)}` +
      `   [${ours.map((one) => show(one.value)).join(' ')} | ${theirs.map((one) => show(one.value)).join(' ')}]` +
      ` ms CPU [${ours.map((one) => show(one.cost && one.cost * 1000)).join(' ')} | ${theirs.map((one) => show(one.cost && one.cost * 1000)).join(' ')}]`,
  )
}

function bulk(name: string, streams: number, way: 'up' | 'down'): Work {
  return {
    name,
    unit: 'Gbit/s',
    backend: way === 'up' ? 'sink' : 'source',
    goal: '≥ 1.0',
    async measure(pair, backend) {
      const cpu = () => pair.cpuSeconds()
      if (way === 'up') return rate(await upload(pair.port, backend, streams, SECONDS, cpu), GIGABIT)
      return rate(await download(pair.port, streams, SECONDS, cpu), GIGABIT)
    },
  }
}

function rate({ count, seconds, cpuSeconds }: Moved, unit: number): Sample {
  return { value: count / unit / seconds, cost: (cpuSeconds * unit) / count }
}

function ping(name: string, quantile: number): Work {
  return {
    name,
    unit: 'ms',
    backend: 'echo',
    goal: '≤ 1.5',
    async measure(pair) {
      const startCpu = pair.cpuSeconds()
      const times = await pingPong(pair.port, 1024, 8000)
      return { value: times[Math.floor(times.length * quantile)]!, cost: (pair.cpuSeconds() - startCpu) / 8000 }
    },
  }
}

async function closeAll(sockets: readonly { destroy(): void }[]): Promise<void> {
  for (const socket of sockets) socket.destroy()
  await wait(0.5)
}

function ratio(above: readonly Sample[], below: readonly Sample[], field: keyof Sample): number | undefined {
  const [upper, lower] = [median(above, field), median(below, field)]
  return upper === undefined || lower === undefined ? undefined : upper / lower
}

function median(samples: readonly Sample[], field: keyof Sample): number | undefined {
  const sorted = samples.flatMap((sample) => sample[field] ?? []).sort((a, b) => a - b)
  return sorted[sorted.length >> 1]
}

function show(value: number | undefined): string {
  if (value === undefined) return '-'
  return value.toFixed(value < 0.1 ? 4 : value < 10 ? 2 : 0)
}
