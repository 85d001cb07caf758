import { type AmbientPair, startAmbientPair } from '../l4/ambient.ts'
import { BenchCertificates } from '../l4/certificates.ts'
import { pinSelf, planCores } from '../l4/cores.ts'
import { startEchoProcess } from '../l4/echo-process.ts'
import { exchange, open, openIdle, wait } from '../l4/load.ts'
import { bounded, defineSuite, exact, type Row, type SuiteContext } from '../suite.ts'

const CONCURRENT = 10_000
const CONNECTIONS_DEFAULT = 100_000
const CONNECTING_AT_ONCE = 64
/** Before the first look: code compiled, tables grown to their bounds (the ring of ended connections holds 1,024). */
const WARM_UP_CONNECTIONS = 10_000
/** What a heap after a collection may have more than before: its fragments, feedback for the compiler. */
const HEAP_GROWTH_BYTES_MAX = 4_000_000
const SETTLING_SECONDS = 2

type Measured = Awaited<ReturnType<AmbientPair['measure']>>['source']

/**
 * Ten thousand connections at once, and then as many as are asked for one after the other, each with a byte there and
 * back: nothing may grow, and each must be told once at either end.
 */
export default defineSuite({
  name: 'churn',
  summary: '10,000 connections at once, then N opened and closed: nothing grows (--set connections=2000000)',
  roundsDefault: 1,
  isCheck: true,
  async run(context) {
    const cores = planCores()
    const unpin = pinSelf(cores?.load)
    using certificates = new BenchCertificates()
    using echo = await startEchoProcess()
    const pair = await startAmbientPair({ certificates, backendPort: echo.port, cores })
    try {
      const rows = [...(await holdMany(pair, context)), ...(await churn(pair, context))]
      return { versions: {}, rows }
    } finally {
      pair.stop()
      unpin()
    }
  },
})

async function holdMany(pair: AmbientPair, { say }: SuiteContext): Promise<Row[]> {
  await turnOver(pair, WARM_UP_CONNECTIONS, () => {})
  const before = await settled(pair)
  const sockets = await openIdle(pair.door, CONCURRENT)
  await wait(SETTLING_SECONDS)
  const during = await pair.measure()
  let answered = 0
  await Promise.all(sockets.map((socket) => exchange(socket).then(() => (answered += 1))))
  for (const socket of sockets) socket.end()
  const after = await settled(pair)
  say(`${CONCURRENT} at once: ${JSON.stringify({ before, during, after })}`)
  // What the warm-up left free in the process does not show in its resident memory again, but in its heap.
  const grown = (end: 'source' | 'destination') =>
    Math.max(during[end].residentBytes - before[end].residentBytes, during[end].heapBytes - before[end].heapBytes)
  const perConnection = (grown('source') + grown('destination')) / CONCURRENT / 1000
  return [
    exact('connections at once that answer', answered, CONCURRENT),
    exact('of them recorded by the source', after.source.recorded - before.source.recorded, CONCURRENT),
    exact('of them recorded by the destination', after.destination.recorded - before.destination.recorded, CONCURRENT),
    bounded('memory of one of them, both agents', 'KB', perConnection, 20),
  ]
}

async function churn(pair: AmbientPair, { options, say }: SuiteContext): Promise<Row[]> {
  const count = Number(options.connections ?? CONNECTIONS_DEFAULT)
  const before = await settled(pair)
  const start = performance.now()
  await turnOver(pair, count, (done) =>
    say(`${done} of ${count} connections, ${Math.round((performance.now() - start) / 1000)} s`),
  )
  const seconds = (performance.now() - start) / 1000
  const after = await settled(pair)
  say(JSON.stringify({ before, after }))
  return [
    { ...exact('connections opened, used and closed', count, count), note: `${Math.round(count / seconds)}/s` },
    ...(['source', 'destination'] as const).flatMap((end) => growthRows(end, before[end], after[end], count)),
  ]
}

function growthRows(end: string, before: Measured, after: Measured, count: number): Row[] {
  const grown = (key: keyof Measured) => after[key] - before[key]
  return [
    exact(`${end}: connections recorded`, grown('recorded'), count),
    exact(`${end}: of them with an error`, grown('failed'), 0),
    exact(`${end}: connections that still move`, after.moving, 0),
    bounded(`${end}: files opened and not closed`, '', grown('openFiles'), 0),
    bounded(`${end}: timers more than before`, '', grown('timers'), 0),
    bounded(
      `${end}: growth of the heap after a collection`,
      'MB',
      grown('heapBytes') / 1e6,
      HEAP_GROWTH_BYTES_MAX / 1e6,
    ),
    { ...bounded(`${end}: growth of resident memory`, 'MB', grown('residentBytes') / 1e6, 0), goal: '', met: null },
  ]
}

/** Opens, uses and closes `count` connections, some at once. */
async function turnOver(pair: AmbientPair, count: number, onProgress: (done: number) => void): Promise<void> {
  let started = 0
  let done = 0
  const step = Math.max(1, Math.round(count / 20))
  const worker = async () => {
    while (started < count) {
      started += 1
      const socket = await open(pair.door)
      await exchange(socket)
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.end()
      await closed
      done += 1
      if (done % step === 0) onProgress(done)
    }
  }
  await Promise.all(Array.from({ length: CONNECTING_AT_ONCE }, worker))
}

/** What both agents hold once nothing moves any more. */
async function settled(pair: AmbientPair): ReturnType<AmbientPair['measure']> {
  for (let tries = 0; ; tries += 1) {
    await wait(SETTLING_SECONDS)
    const measured = await pair.measure()
    if (tries === 10 || measured.source.moving + measured.destination.moving === 0) return measured
  }
}
