import { KiB } from '@ambient-lab/std'

/** Lengths of reads whose view is kept, once for the process. */
export const VIEW_LENGTHS_KEPT = 2 * KiB

/** Bytes a stream in memory holds for a reader before `write` says stop: Node's own mark for sockets. */
export const MEMORY_STREAM_HIGH_MARK_BYTES = 64 * KiB

/** Bytes a socket holds before `write` says stop: two reads, so that one alone never stops whoever brings it. */
export const SOCKET_HIGH_MARK_BYTES = 128 * KiB

/** TCP keepalive starts after this much silence: ztunnel's KEEPALIVE_TIME (ambient.md §2.3). */
export const TCP_KEEPALIVE_IDLE_MS = 180_000

/** What keepalive is on Linux where nobody says anything: tcp_keepalive_time, tcp_keepalive_intvl, tcp_keepalive_probes. */
export const TCP_KEEPALIVE_SYSTEM = { timeSeconds: 7_200, intervalSeconds: 75, probes: 9 } as const

/**
 * Bytes gathered for one write: four TLS records, which the receiving side decrypts without a rest. Measured: 32 KiB cost
 * more system calls than they save, and from 128 KiB on the copies of a byte no longer meet in a core's cache.
 */
export const BLOCK_BYTES = 64 * KiB

/** Blocks kept for reuse; as many streams can be writing at once without an allocation. */
export const SPARE_BLOCKS_MAX = 32

/** What one read may bring: it fills a block, with room for the head of its frame. */
export const READ_BYTES = BLOCK_BYTES - 32

/** What one read of TLS may bring: a record (RFC 8446 §5.1). */
export const TLS_READ_BYTES = 16 * KiB

/** From here on borrowed bytes are gathered in a block; fewer are copied to a place of their own size. */
export const GATHERED_BYTES_MIN = 4 * KiB

/** Up to here the pieces that are written in a turn are copied together: handing the system one more costs more than the copy. */
export const JOINED_BYTES_MAX = 4 * KiB
