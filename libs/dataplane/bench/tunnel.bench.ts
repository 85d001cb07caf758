/**
 * Bytes through a source and a destination ztunnel, against a pair of HAProxy with mutual TLS. Run it with
 * `node --conditions=@ambient-lab/source libs/dataplane/bench/tunnel.bench.ts [--rounds 5] [--only bulk-1] [--prof FOLDER]`.
 * Both proxies of a pair share core 1, load and backend core 0; pairs take turns, so that the noise of the machine
 * falls on both; figures are ratios of medians.
 */
import { parseArgs } from 'node:util'
import { Backend, type BackendKind, connectionRate, download, openIdle, pingPong, upload, wait } from './load.ts'
import { ambientPair, haproxyPair, haproxyVersion, makeCertificates, type Pair, removeCertificates } from './pairs.ts'

interface Work {
  readonly name: string
  readonly unit: string
  readonly backend: BackendKind
  /** How our median should compare to theirs. */
  readonly goal: string
  measure(pair: Pair, backend: Backend): Promise<number>
}

const GIGABIT = 125_000_000
const IDLE_STREAMS = 2000

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
    measure: ({ port }) => connectionRate(port, 32, 2),
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
      return (after - before) / IDLE_STREAMS / 1000
    },
  },
]

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, only: { type: 'string' }, prof: { type: 'string' } },
})
const folder = makeCertificates()
const peer = haproxyVersion()
const nodeFlags = values.prof ? ['--cpu-prof', `--cpu-prof-dir=${values.prof}`, '--cpu-prof-interval=200'] : []
console.log(`node ${process.version}; ${peer ?? 'haproxy is not installed: no comparison'}`)
try {
  for (const work of WORKS) if (!values.only || values.only.split(',').includes(work.name)) await run(work)
} finally {
  removeCertificates(folder)
}
process.exit(0)

async function run(work: Work): Promise<void> {
  const results: Record<string, number[]> = { ambient: [], haproxy: [] }
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const start of peer ? [ambientPair, haproxyPair] : [ambientPair]) {
      const backend = new Backend(work.backend)
      const pair = await start(folder, await backend.listen(), nodeFlags)
      await wait(0.3)
      results[pair.name]!.push(await work.measure(pair, backend))
      pair.stop()
      backend.close()
    }
  }
  const [ours, theirs] = [median(results.ambient!), peer ? median(results.haproxy!) : undefined]
  const ratio = theirs === undefined ? '-' : (ours / theirs).toFixed(2)
  const show = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(value < 10 ? 3 : 0))
  console.log(
    `${work.name.padEnd(12)} ambient ${show(ours).padStart(7)}  haproxy ${show(theirs).padStart(7)} ${work.unit.padEnd(7)} ratio ${ratio.padStart(5)}  goal ${work.goal}` +
      `   [${results.ambient!.map(show).join(' ')} | ${results.haproxy!.map(show).join(' ')}]`,
  )
}

function bulk(name: string, streams: number, way: 'up' | 'down'): Work {
  return {
    name,
    unit: 'Gbit/s',
    backend: way === 'up' ? 'sink' : 'source',
    goal: '≥ 1.0',
    measure: async ({ port }, backend) =>
      (way === 'up' ? await upload(port, backend, streams, 2) : await download(port, streams, 2)) / GIGABIT,
  }
}

function ping(name: string, quantile: number): Work {
  return {
    name,
    unit: 'ms',
    backend: 'echo',
    goal: '≤ 1.5',
    async measure({ port }) {
      const times = await pingPong(port, 1024, 8000)
      return times[Math.floor(times.length * quantile)]!
    },
  }
}

async function closeAll(sockets: readonly { destroy(): void }[]): Promise<void> {
  for (const socket of sockets) socket.destroy()
  await wait(0.5)
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]!
}
