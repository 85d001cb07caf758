import { describe, expect, it } from 'vitest'
import { keepOf } from './replay.ts'
import { examine } from './shrink.ts'
import { simulate } from './simulation.ts'

const SEED_FIRST = Number(process.env.AMBIENT_SEED ?? 1)
const SEEDS = Number(process.env.AMBIENT_SEEDS ?? 1000)
const KEEP = process.env.AMBIENT_KEEP
const BATCHES = Math.min(10, SEEDS)
/** On a slow machine, with others at work. */
const BATCH_TIMEOUT_MS = 300_000

describe('both planes, faults drawn from seeds', () => {
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const first = SEED_FIRST + Math.floor((batch * SEEDS) / BATCHES)
    const end = SEED_FIRST + Math.floor(((batch + 1) * SEEDS) / BATCHES)
    it(`keep their promises with seeds ${first} to ${end - 1}`, { timeout: BATCH_TIMEOUT_MS }, async () => {
      for (let seed = first; seed < end; seed += 1)
        await examine({ seed, ...(KEEP && { keep: keepOf(KEEP.split(',')) }) })
    })
  }
})

describe('a lab of two networks', () => {
  // Seeds that draw one: some with faults, one without.
  it.each([18, 21, 35])('carries connections through its gateways: seed %i', { timeout: 30_000 }, async (seed) => {
    expect((await simulate({ seed })).throughGateways).toBeGreaterThan(3)
  })
})

describe('one seed', () => {
  it.each([3, 17, 18, 42])('gives the identical history twice: %i', { timeout: 30_000 }, async (seed) => {
    const once = await simulate({ seed })
    expect(await simulate({ seed })).toEqual(once)
  })
})
