import type { CancelTimer, Clock } from '@ambient-lab/std'
import type { Copy } from './copy.ts'

export interface CopyTimes {
  /** Without a byte in either direction. */
  readonly idleTimeoutMs: number | undefined
  readonly durationMaxMs: number | undefined
}

/** Why it is to end, and how to say so. */
export type CopyEnd = (code: 'IDLE_TIMEOUT' | 'DURATION_EXCEEDED', text: string) => void

/** An idle copy is looked at so often in its time: it ends at most a quarter later than it has to. */
const IDLE_LOOKS = 4

/** Watches how long a copy lasts, and how long it is silent. @returns what stops the timers */
export function limitCopy(
  clock: Clock,
  copy: Pick<Copy, 'bytesSent' | 'bytesReceived'>,
  { idleTimeoutMs, durationMaxMs }: CopyTimes,
  onEnd: CopyEnd,
): CancelTimer {
  let cancelIdle: CancelTimer = () => {}
  let cancelDuration: CancelTimer = () => {}
  if (durationMaxMs !== undefined) {
    cancelDuration = clock.schedule(durationMaxMs, () =>
      onEnd('DURATION_EXCEEDED', `connection closed after its maximum duration of ${durationMaxMs} ms`),
    )
  }
  if (idleTimeoutMs !== undefined) {
    let seenBytes = 0
    let quietLooks = 0
    const look = () => {
      const bytes = copy.bytesSent + copy.bytesReceived
      quietLooks = bytes === seenBytes ? quietLooks + 1 : 0
      seenBytes = bytes
      if (quietLooks < IDLE_LOOKS) cancelIdle = clock.schedule(idleTimeoutMs / IDLE_LOOKS, look)
      else onEnd('IDLE_TIMEOUT', `connection closed after ${idleTimeoutMs} ms of silence`)
    }
    cancelIdle = clock.schedule(idleTimeoutMs / IDLE_LOOKS, look)
  }
  return () => {
    cancelIdle()
    cancelDuration()
  }
}
