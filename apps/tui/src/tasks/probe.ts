import { systemClock } from '@ambient-lab/std'
import { dialCaptured, type SocketPlace } from './captured-socket.ts'

export interface ProbeResult {
  /** `refused`: the mesh answered, and its answer is no. `unreachable`: no answer, or that there is no way. */
  readonly outcome: 'connected' | 'refused' | 'unreachable'
  readonly tookMs: number
}

/** SOCKS5 reply (RFC 1928 §6) that means a rule said no. */
export const NOT_ALLOWED = 2

/**
 * One connection through a workload's capture listener, closed as soon as it is open. The listener answers only when
 * the destination's ztunnel has connected to the workload, so the time is a round trip through the mesh.
 */
export async function probe(capture: SocketPlace, destination: SocketPlace): Promise<ProbeResult> {
  const startedMs = systemClock.monotonic()
  const dial = await dialCaptured(capture, destination)
  const tookMs = systemClock.monotonic() - startedMs
  if (!('socket' in dial)) return { outcome: dial.reply === NOT_ALLOWED ? 'refused' : 'unreachable', tookMs }
  dial.socket.destroy()
  return { outcome: 'connected', tookMs }
}
