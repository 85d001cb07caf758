import { connect } from 'node:net'
import { systemClock } from '@ambient-lab/std'

export interface ProbeResult {
  /** `refused`: the mesh answered, and its answer is no. `unreachable`: no answer, or that there is no way. */
  readonly outcome: 'connected' | 'refused' | 'unreachable'
  readonly tookMs: number
}

const PROBE_LIMIT_MS = 3_000

/** SOCKS5 replies (RFC 1928 §6) that mean a rule said no. */
const NOT_ALLOWED = 2

/**
 * One connection through a workload's capture listener, closed as soon as it is open. The listener answers only when
 * the destination's ztunnel has connected to the workload, so the time is a round trip through the mesh.
 */
export function probe(
  capture: { host: string; port: number },
  destination: { host: string; port: number },
): Promise<ProbeResult> {
  const startedMs = systemClock.monotonic()
  return new Promise((resolve) => {
    const socket = connect(capture)
    let received = Buffer.alloc(0)
    let greeted = false
    const settle = (outcome: ProbeResult['outcome']) => {
      socket.destroy()
      resolve({ outcome, tookMs: systemClock.monotonic() - startedMs })
    }
    socket.setTimeout(PROBE_LIMIT_MS, () => settle('unreachable'))
    socket.once('error', () => settle('unreachable'))
    socket.once('close', () => settle('unreachable'))
    socket.once('connect', () => socket.write(Buffer.from([5, 1, 0]))) // version 5, one method: no authentication
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (!greeted && received.length >= 2) {
        greeted = true
        received = received.subarray(2)
        socket.write(connectRequest(destination))
      }
      if (greeted && received.length >= 2)
        settle(received[1] === 0 ? 'connected' : received[1] === NOT_ALLOWED ? 'refused' : 'unreachable')
    })
  })
}

/** CONNECT with an IPv4 address (RFC 1928 §4). */
function connectRequest({ host, port }: { host: string; port: number }): Buffer {
  return Buffer.from([5, 1, 0, 1, ...host.split('.').map(Number), port >> 8, port & 0xff])
}
