import { KiB, MiB } from '@ambient-lab/std'

/** CONNECT's and RESPONSE's fields together: what ztunnel accepts from a server (ambient.md §2.3). */
export const HEADER_BYTES_MAX = 16 * KiB

/** Largest DATA frame accepted: ztunnel's HTTP/2 frame size. */
export const DATA_BYTES_MAX = MiB

/** Largest DATA frame sent: long enough that headers cost nothing, short enough that streams take turns. */
export const DATA_BYTES_SENT_MAX = 64 * KiB

/** Text in RESET and GOAWAY. */
export const REASON_BYTES_MAX = 512

/**
 * What a peer may send on a fresh stream before it is granted more: yamux's initial window. With 100 streams that
 * nobody reads the memory behind one session stays below its connection window, so that those cannot block others.
 */
export const STREAM_WINDOW_BYTES_INITIAL = 256 * KiB

/** To which the window of a stream grows whose reader keeps up: ztunnel's. 300 Mbit/s at 100 ms. */
export const STREAM_WINDOW_BYTES_MAX = 4 * MiB

/** What a peer may have sent in all that no reader has taken. Twice ztunnel's: 100 unread fresh streams fit into it. */
export const CONNECTION_WINDOW_BYTES = 32 * MiB

/** Grants may not add up to more: HTTP/2's bound (RFC 9113 §6.9.1). */
export const WINDOW_BYTES_LIMIT = 2 ** 31 - 1

/** Streams that we open on one session before the pool opens another: ztunnel's POOL_MAX_STREAMS_PER_CONNECTION. */
export const STREAMS_OPENED_MAX = 100

/** Streams that we let a peer open: ztunnel's server. */
export const STREAMS_ACCEPTED_MAX = 200

/** Ids are 31 bits as in HTTP/2; a session that runs out of them drains. */
export const STREAM_ID_MAX = 2 ** 31 - 1

/** A stream with this much unsent says stop to its writer, and go on when it fell to the low mark. */
export const SEND_HIGH_MARK_BYTES = 128 * KiB
export const SEND_LOW_MARK_BYTES = 64 * KiB

/** The same for bytes that had to be copied to wait: what a reader of a socket hands over at once. */
export const SEND_COPIED_HIGH_MARK_BYTES = 32 * KiB

/** Memory of control frames that wait for a peer which does not read; one that also keeps asking is cut. */
export const CONTROL_BYTES_MAX = 4 * MiB

/** What a waiting control frame costs besides its bytes, about: most have a few, and an object each. */
export const CONTROL_FRAME_OVERHEAD_BYTES = 512

/** HBONE's keepalive (ambient.md §2.3). */
export const PING_INTERVAL_MS = 10_000
export const PING_TIMEOUT_MS = 20_000

/** How long a closing session waits for its GOAWAY to leave. */
export const CLOSE_GRACE_MS = 1_000

/** From the accepted or opened TCP connection to a session: TLS and upgrade together. ztunnel's connect timeout. */
export const HANDSHAKE_TIMEOUT_MS = 10_000

/** Connections that are not sessions yet, per listener. */
export const HANDSHAKES_MAX = 1024

/** Head of the upgrade request and of its answer. */
export const UPGRADE_HEAD_BYTES_MAX = 4 * KiB

/** ztunnel's POOL_UNUSED_RELEASE_TIMEOUT. */
export const POOL_IDLE_RELEASE_MS = 5 * 60_000

/** Sessions that one pool keeps for one key: 10,000 streams between one pair of workloads. */
export const POOL_SESSIONS_PER_KEY_MAX = 100

/** Tunnels tried for one CONNECT: the one at hand, its replacement, and one more when that went away as well. */
export const CONNECT_ATTEMPTS_MAX = 3

/** ztunnel's CONNECTION_TERMINATION_DEADLINE. */
export const DRAIN_DEADLINE_MS = 5_000

/** Secure contexts kept, one per certificate in use. */
export const SECURE_CONTEXTS_MAX = 1024

/** Bytes in flight on an impaired link; beyond it the sender waits. More than one session's windows allow. */
export const LINK_QUEUE_BYTES_MAX = 64 * MiB

/** TCP, TLS 1.3 and the upgrade to WebSocket: what a dial waits for. */
export const HANDSHAKE_ROUND_TRIPS = 3

/** How long a connection that was cut behind a partition is kept from telling its peer: longer than the peer's pings take. */
export const CUT_CONNECTION_HOLD_MS = 60_000
