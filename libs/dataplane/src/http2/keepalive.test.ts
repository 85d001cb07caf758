import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import { beforeEach, describe, expect, it } from 'vitest'
import { Keepalive } from './keepalive.ts'

/** The longest that an interval of 1 s can be, with its jitter. */
const INTERVAL_MS_MAX = 1_150
const TIMEOUT_MS = 300

describe('keepalive', () => {
  let clock: VirtualClock
  let keepalive: Keepalive
  const told: string[] = []
  beforeEach(() => {
    clock = new VirtualClock()
    told.length = 0
    keepalive = new Keepalive(
      { clock, random: new SeededRandom(1) },
      {
        ...{ intervalMs: 1_000, timeoutMs: TIMEOUT_MS },
        ping: () => told.push('ping'),
        onSilence: () => told.push('silence'),
      },
    )
  })

  it('asks not before its interval, and not much later', async () => {
    await clock.advance(999)
    expect(told).toEqual([])
    await clock.advance(INTERVAL_MS_MAX - 999)
    expect(told).toEqual(['ping'])
  })

  it('gives up when nothing comes in time, once', async () => {
    await clock.advance(INTERVAL_MS_MAX + TIMEOUT_MS)
    expect(told).toEqual(['ping', 'silence'])
    await clock.advance(60_000)
    expect(told).toEqual(['ping', 'silence'])
  })

  it('asks again an interval after each answer', async () => {
    for (let round = 1; round <= 5; round += 1) {
      await clock.advance(INTERVAL_MS_MAX)
      expect(told).toHaveLength(round)
      expect(keepalive.answered()).toBe(true)
    }
    expect(new Set(told)).toEqual(new Set(['ping']))
  })

  it('has more patience with a peer that says something else', async () => {
    await clock.advance(INTERVAL_MS_MAX)
    for (let round = 0; round < 10; round += 1) {
      keepalive.heard()
      await clock.advance(TIMEOUT_MS - 1)
    }
    expect(told).toEqual(['ping'])
    await clock.advance(1)
    expect(told).toEqual(['ping', 'silence'])
  })

  it('takes no answer that it did not ask for, and is not put off by what comes meanwhile', async () => {
    expect(keepalive.answered()).toBe(false)
    await clock.advance(900)
    keepalive.heard()
    await clock.advance(INTERVAL_MS_MAX - 900)
    expect(told).toEqual(['ping'])
  })

  it.each(['before it asks', 'while it waits'])('is silent when it is stopped %s', async (when) => {
    if (when === 'while it waits') await clock.advance(INTERVAL_MS_MAX)
    const before = [...told]
    keepalive.stop()
    await clock.advance(60_000)
    expect(told).toEqual(before)
  })
})
