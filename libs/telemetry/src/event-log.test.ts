import { VirtualClock } from '@ambient-lab/std'
import { expect, test } from 'vitest'
import { EventLog } from './event-log.ts'

test('keeps the latest events, counts repetitions, and knows how many it lost', async () => {
  const clock = new VirtualClock({ startMs: 1000 })
  const log = new EventLog({ components: { clock }, init: { capacity: 2 } })
  log.record('A', 'first')
  log.record('B', 'lost', 'peer 1')
  await clock.advance(5)
  log.record('B', 'lost', 'peer 1')
  log.record('B', 'lost', 'peer 2')
  expect(log.toArray()).toEqual([
    { code: 'B', message: 'lost', where: 'peer 1', firstAtMs: 1000, lastAtMs: 1005, count: 2 },
    { code: 'B', message: 'lost', where: 'peer 2', firstAtMs: 1005, lastAtMs: 1005, count: 1 },
  ])
  expect(log.lost).toBe(1)
})
