import type { VirtualClock } from '@ambient-lab/std'

/**
 * Runs `work` to its end by moving the clock from timer to timer, as far as `limitMs` of virtual time.
 * @throws what the work throws; an Error when it is not done by then
 */
export async function virtualRun<T>(clock: VirtualClock, limitMs: number, work: () => Promise<T>): Promise<T> {
  let isDone = false
  const result = work().finally(() => {
    isDone = true
  })
  result.catch(() => {}) // it is awaited below, after the clock has moved
  const wasInTime = await clock.advanceUntil(() => isDone, limitMs)
  if (!wasInTime) throw new Error(`not done within ${limitMs} ms of virtual time; ${clock.pending} timers are pending`)
  return result
}
