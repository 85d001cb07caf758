/** Cancels what was scheduled; calling it again, or after the callback ran, does nothing. */
export type CancelTimer = () => void

/**
 * The only source of time and of "later". Everything that waits takes one, so that a simulation can own time.
 */
export interface Clock {
  /** Wall time in milliseconds since the epoch; may jump. For timestamps and certificate validity. */
  now(): number
  /** Milliseconds from an arbitrary start, never going back. For durations. */
  monotonic(): number
  /** Runs `callback` once after `delayMs`. The timer does not keep the process alive when `background` is set. */
  schedule(delayMs: number, callback: () => void, options?: { background?: boolean }): CancelTimer
}

/** Looked up once: in Node the global is a getter, and each request asks for the time several times. */
const { performance } = globalThis

/** @see https://nodejs.org/api/timers.html: a longer delay would fire at once */
const TIMER_DELAY_MAX_MS = 2 ** 31 - 1

export class SystemClock implements Clock {
  now(): number {
    return Date.now()
  }

  monotonic(): number {
    return performance.now()
  }

  schedule(delayMs: number, callback: () => void, options: { background?: boolean } = {}): CancelTimer {
    if (delayMs > TIMER_DELAY_MAX_MS) {
      let cancel = this.schedule(
        TIMER_DELAY_MAX_MS,
        () => {
          cancel = this.schedule(delayMs - TIMER_DELAY_MAX_MS, callback, options)
        },
        options,
      )
      return () => cancel()
    }
    const timer = setTimeout(callback, delayMs)
    if (options.background) timer.unref()
    return () => clearTimeout(timer)
  }
}

export const systemClock: Clock = new SystemClock()

/**
 * Resolves after `delayMs`.
 * @throws the signal's reason, at once, when it aborts first
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      cancel()
      reject(signal?.reason)
    }
    const cancel = clock.schedule(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** Calls `tick` every `periodMs`, measured from the end of the previous call, until cancelled. */
export function every(clock: Clock, periodMs: number, tick: () => void): CancelTimer {
  let cancel: CancelTimer
  let cancelled = false
  const arm = () => {
    cancel = clock.schedule(
      periodMs,
      () => {
        tick()
        if (!cancelled) arm()
      },
      { background: true },
    )
  }
  arm()
  return () => {
    cancelled = true
    cancel()
  }
}
