import { type Clock, errorMessage, sleep, systemClock } from '@ambient-lab/std'

export interface EventuallyInit {
  /** @default 5000 */
  readonly timeoutMs?: number
  /** Between two tries. @default 10 */
  readonly intervalMs?: number
  /** @default the system's */
  readonly clock?: Clock
}

/**
 * Tries until `check` neither throws nor returns false, null or undefined, and returns what it returned then. Assertions may stand in it.
 * @throws the last failure, with the time that was spent
 */
export async function eventually<T>(check: () => T | Promise<T>, init: EventuallyInit = {}): Promise<NonNullable<T>> {
  const { timeoutMs = 5000, intervalMs = 10, clock = systemClock } = init
  const endMs = clock.monotonic() + timeoutMs
  for (;;) {
    let failure: unknown
    try {
      const value = await check()
      if (value !== false && value !== undefined && value !== null) return value
      failure = new Error(`the check returned ${String(value)}`)
    } catch (error) {
      failure = error
    }
    if (clock.monotonic() >= endMs) {
      throw new Error(`not within ${timeoutMs} ms: ${errorMessage(failure)}`, { cause: failure })
    }
    await sleep(clock, intervalMs)
  }
}
