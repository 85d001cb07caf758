import { KiB, MiB } from '@ambient-lab/std'

/** Streams at once on one connection: Envoy's is 100 behind HBONE, and so are the streams of a tunnel. */
export const STREAMS_MAX = 100

/** What a peer may send on one stream before it is granted more. */
export const STREAM_WINDOW_BYTES = 256 * KiB

/** The same for a connection: what streams whose readers wait can hold of our memory. */
export const CONNECTION_WINDOW_BYTES = 4 * MiB

/** Of frames that are sent to us: the least that RFC 9113 §4.2 lets one allow, so that nobody waits for a whole one. */
export const FRAME_BYTES_MAX = 16 * KiB

/** Of frames that we send, where the peer allows so much. */
export const SENT_FRAME_BYTES_MAX = 64 * KiB

/** HPACK's table, ours and the peer's (RFC 9113 §6.5.2). */
export const HEADER_TABLE_BYTES = 4 * KiB

/** A header block as it comes, in all its frames; what is in it is limited as heads of HTTP/1.1 are. */
export const HEADER_BLOCK_BYTES_MAX = 64 * KiB

/** CONTINUATION frames of one block: a block of the full size in frames of the full size has three. */
export const CONTINUATIONS_MAX = 16

/** Field names whose values an encoder remembers. */
export const ENCODED_NAMES_MAX = 256

/** Longer values are not put into the table: they would push out everything else. */
export const INDEXED_VALUE_LENGTH_MAX = 512

/** Streams that a peer may open and reset, and how many more each second: nghttp2's (CVE-2023-44487). */
export const RESETS = { maxTokens: 1_000, tokensPerFill: 33, fillIntervalMs: 1_000 } as const

/** Frames that carry nothing, whoever counts as that, and how many more each second. */
export const EMPTY_FRAMES = { maxTokens: 1_000, tokensPerFill: 200, fillIntervalMs: 1_000 } as const

/**
 * WINDOW_UPDATEs and PINGs that a frame of DATA of ours may bring: Envoy's limit of the first,
 * `max_inbound_window_update_frames_per_data_frame_sent`; the others are how gRPC measures what a window should be.
 */
export const REPLIES_PER_DATA = 10

/** Written and not read, besides DATA, which waits in its stream: beyond it the peer only asks. */
export const OUTPUT_BYTES_MAX = MiB

/** Closed streams whose late frames are told from those of streams that never were. */
export const CLOSED_STREAMS_KEPT = 128

/** Streams that we reset, likewise: as many as a fast client can send on to before it hears of it. */
export const RESET_STREAMS_KEPT = 1_024

/** Where frames are put together before they are written; a full one is left to the stream that writes it. */
export const WRITE_BLOCK_BYTES = 8 * KiB

/** A piece of a body up to this is copied behind its head: one write costs less than two. */
export const COPIED_BYTES_MAX = 2 * KiB

/** How long a connection that is over goes on reading, so that the peer sees the last GOAWAY and no reset. */
export const LINGER_MS = 1_000

/** Looks at which a stream may be found waiting for a window, with nothing sent in between; the owner of a session looks. */
export const STALLED_LOOKS_MAX = 4
