import { VirtualClock } from '@ambient-lab/std'
import { LatencyRecorder } from '@ambient-lab/telemetry'
import type { LoadProgress, LoadRun } from '@ambient-lab/xds'
import { describe, expect, test } from 'vitest'
import { LoadSchedule } from './load/load-schedule.ts'
import { LoadGenerator, type LoadOutcome, type LoadSender } from './load-generator.ts'

const RUN: LoadRun = {
  name: 'l',
  namespace: 'default',
  source: 'uid',
  url: 'http://x/',
  method: 'GET',
  headers: {},
  body: '',
  ratePerSecond: 10,
  durationMs: 10_000,
  warmupMs: 0,
  bytes: 0,
  inFlightMax: 100,
}

/** Answers each request after what `latencyMs` says for the moment it was sent. */
class TimedSender implements LoadSender {
  inFlight = 0
  inFlightMost = 0
  closed = false
  readonly #clock: VirtualClock
  readonly #latencyMs: (nowMs: number) => number
  readonly #code: () => string

  constructor(clock: VirtualClock, latencyMs: (nowMs: number) => number, code: () => string = () => '200') {
    this.#clock = clock
    this.#latencyMs = latencyMs
    this.#code = code
  }

  send(): Promise<LoadOutcome> {
    this.inFlight += 1
    this.inFlightMost = Math.max(this.inFlightMost, this.inFlight)
    return new Promise((resolve) => {
      this.#clock.schedule(this.#latencyMs(this.#clock.monotonic()), () => {
        this.inFlight -= 1
        const code = this.#code()
        resolve({ code, ok: code === '200' })
      })
    })
  }

  close(): void {
    this.closed = true
  }
}

async function start(run: Partial<LoadRun>, latencyMs: (nowMs: number) => number, code?: () => string) {
  const clock = new VirtualClock()
  const sender = new TimedSender(clock, latencyMs, code)
  const reports: LoadProgress[] = []
  const recorder = await LatencyRecorder.create()
  const onProgress = (progress: LoadProgress) => reports.push(progress)
  const generator = new LoadGenerator({ ...RUN, ...run }, { clock, sender, recorder, onProgress })
  return { clock, sender, reports, generator }
}

test('sends on schedule and finishes by itself', async () => {
  const { clock, reports, sender } = await start({}, () => 20)
  await clock.advance(11_000)
  expect(reports.at(-1)).toMatchObject({
    state: 'finished',
    intended: 100,
    sent: 100,
    completed: 100,
    failed: 0,
    late: 0,
    outcomes: { '200': 100 },
    message: '',
  })
  expect(reports.at(-1)!.latencyMs.p50).toBeCloseTo(20, 0)
  expect(sender.closed).toBe(true)
  expect(clock.pending).toBe(0)
})

test('tells its progress every half second', async () => {
  const { clock, reports } = await start({}, () => 1)
  await clock.advance(2000)
  expect(reports.map(({ state, sent }) => [state, sent])).toEqual([
    ['running', 5],
    ['running', 10],
    ['running', 15],
    ['running', 20],
  ])
})

test('a stall counts for everybody whom it held up, in the corrected latency and not in the other', async () => {
  // One connection; the server freezes from 1 s to 3 s.
  const stall = (nowMs: number) => (nowMs >= 1000 && nowMs < 3000 ? 3000 - nowMs : 1)
  const { clock, reports } = await start({ inFlightMax: 1 }, stall)
  await clock.advance(11_000)
  const { latencyMs, uncorrectedMs, late, sent } = reports.at(-1)!
  expect(sent).toBe(100)
  expect(latencyMs.p90).toBeGreaterThan(900) // 20 of 100 were due during the stall
  expect(uncorrectedMs.p90).toBeLessThan(2)
  expect(uncorrectedMs.max).toBeGreaterThan(1900)
  expect(late).toBeGreaterThan(15)
})

test('never has more in flight than allowed, and says what it could not send', async () => {
  const { clock, sender, reports } = await start({ inFlightMax: 3, durationMs: 2000 }, () => 60_000)
  await clock.advance(1500)
  expect(sender.inFlightMost).toBe(3)
  expect(reports.at(-1)).toMatchObject({ intended: 16, sent: 3, message: '13 requests not sent yet: 3 of 3 in flight' })
})

test('the end waits for answers under way, and what was not sent stays unsent', async () => {
  const { clock, reports } = await start({ inFlightMax: 3, durationMs: 1000 }, () => 5000)
  await clock.advance(4000)
  expect(reports.at(-1)?.state).toBe('running')
  await clock.advance(2000)
  expect(reports.at(-1)).toMatchObject({ state: 'finished', intended: 10, sent: 3, completed: 3 })
})

test('the warm-up is sent and not counted', async () => {
  const { clock, reports, sender } = await start({ warmupMs: 1000, durationMs: 1000 }, (nowMs) =>
    nowMs < 1000 ? 400 : 2,
  )
  await clock.advance(3000)
  expect(sender.inFlightMost).toBeGreaterThan(3)
  expect(reports.at(-1)).toMatchObject({ state: 'finished', intended: 10, sent: 10, completed: 10 })
  expect(reports.at(-1)!.latencyMs.max).toBeLessThan(10)
})

test('failures are outcomes with their codes', async () => {
  const codes = ['200', '503', 'DENIED']
  let index = 0
  const { clock, reports } = await start(
    { durationMs: 900 },
    () => 1,
    () => codes[index++ % 3]!,
  )
  await clock.advance(2000)
  expect(reports.at(-1)).toMatchObject({ completed: 3, failed: 6, outcomes: { '200': 3, '503': 3, DENIED: 3 } })
})

test('disposed, it sends and says nothing more', async () => {
  const { clock, generator, reports, sender } = await start({}, () => 1)
  await clock.advance(600)
  generator[Symbol.dispose]()
  const said = reports.length
  await clock.advance(5000)
  expect(reports).toHaveLength(said)
  expect(sender.closed).toBe(true)
})

describe('schedule', () => {
  test.each([
    [{ ratePerSecond: 3, warmupMs: 0, durationMs: 1000 }, 3, 0],
    [{ ratePerSecond: 1000, warmupMs: 500, durationMs: 500 }, 1000, 500],
    [{ ratePerSecond: 0.5, warmupMs: 0, durationMs: 1000 }, 1, 0],
    [{ ratePerSecond: 7, warmupMs: 1000, durationMs: 60_000 }, 427, 7],
  ])('%j', (run, total, firstCounted) => {
    const schedule = new LoadSchedule(run)
    expect([schedule.total, schedule.firstCounted]).toEqual([total, firstCounted])
    for (let index = 0; index < total; index += 1) expect(schedule.due(schedule.intendedMs(index))).toBe(index + 1)
  })

  test('without a duration it has no end', () => {
    expect(new LoadSchedule({ ratePerSecond: 1, warmupMs: 0 }).total).toBe(Number.POSITIVE_INFINITY)
  })
})
