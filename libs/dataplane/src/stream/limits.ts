import { KiB } from '@ambient-lab/std'

/** Bytes a stream in memory holds for a reader before `write` says stop: Node's own mark for sockets. */
export const MEMORY_STREAM_HIGH_MARK_BYTES = 64 * KiB

/** TCP keepalive starts after this much silence: ztunnel's KEEPALIVE_TIME (ambient.md §2.3). */
export const TCP_KEEPALIVE_IDLE_MS = 180_000
