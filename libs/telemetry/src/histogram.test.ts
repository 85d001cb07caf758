import { describe, expect, test } from 'vitest'
import { LatencyRecorder } from './histogram.ts'

describe('latency', () => {
  test('of a server that stalls is hidden when counted from the sending, and shown when from the intention', async () => {
    const recorder = await LatencyRecorder.create()
    // 100 a second for ten seconds, 1 ms each; the server stands still for the fifth second, one request at a time.
    let freeAtMs = 0
    for (let intendedMs = 0; intendedMs < 10_000; intendedMs += 10) {
      const startedMs = Math.max(intendedMs, freeAtMs)
      const endedMs = startedMs === 5000 ? 6000 : startedMs + 1
      freeAtMs = endedMs
      recorder.record({ intendedMs, startedMs, endedMs })
    }
    expect(recorder.count).toBe(1000)
    expect(recorder.uncorrected.p99).toBeCloseTo(1, 2)
    expect(recorder.corrected.p50).toBeCloseTo(1, 2)
    expect(recorder.corrected.p99).toBeGreaterThan(800)
    expect(recorder.corrected.max).toBeCloseTo(1000, -1)
    expect(recorder.uncorrected.max).toBeCloseTo(1000, -1)
  })

  test('is zero when nothing was recorded, and bounded when a clock is mad', async () => {
    const recorder = await LatencyRecorder.create()
    expect(recorder.corrected).toEqual({ count: 0, min: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0, mean: 0 })
    recorder.record({ intendedMs: 5, startedMs: 5, endedMs: 1 })
    recorder.record({ intendedMs: 0, startedMs: 0, endedMs: 1e12 })
    expect(recorder.corrected).toMatchObject({ count: 2, min: 0 })
    expect(recorder.corrected.max / 3_600_000).toBeCloseTo(1, 2)
  })

  test('of several nodes adds up', async () => {
    const [first, second] = [await LatencyRecorder.create(), await LatencyRecorder.create()]
    for (let index = 1; index <= 100; index += 1) {
      const recorder = index % 2 ? first : second
      recorder.record({ intendedMs: 0, startedMs: index / 2, endedMs: index })
    }
    const encoded = second.encode()
    expect(encoded.corrected).toMatch(/^HISTF/)
    first.merge(encoded)
    expect(first.corrected).toMatchObject({ count: 100, min: 1 })
    expect(first.corrected.p50).toBeCloseTo(50, 0)
    expect(first.corrected.p90).toBeCloseTo(90, 0)
    expect(first.corrected.mean).toBeCloseTo(50.5, 0)
    expect(first.uncorrected.p50).toBeCloseTo(25, 0)
  })

  test.each(['', 'nonsense', 'HISTFAAAA', 'AAAA'.repeat(50)])('of %j cannot be merged', async (text) => {
    const recorder = await LatencyRecorder.create()
    const { corrected } = recorder.encode()
    expect(() => recorder.merge({ corrected, uncorrected: text })).toThrow(
      expect.objectContaining({ code: 'HISTOGRAM_MALFORMED' }),
    )
    expect(recorder.count).toBe(0)
  })
})
