import { KiB } from '@ambient-lab/std'

/** First line and fields together, and trailers for themselves: Envoy's `max_request_headers_kb`. */
export const HEAD_BYTES_MAX = 60 * KiB

/** Fields of a head, and of trailers: Envoy's `max_headers_count`. */
export const HEADERS_MAX = 100

/** Empty lines before a request line. RFC 9112 §2.2 wants one to be ignored; old clients send two. */
export const EMPTY_LINES_MAX = 4

/** Digits of a chunk's size, leading zeros included: less than 2^52, so that it is an exact number. */
export const CHUNK_SIZE_DIGITS_MAX = 13

/** Extensions of all chunks of one body: nobody reads them, and a body of nothing else would cost more than it carries. */
export const CHUNK_EXTENSION_BYTES_MAX = 16 * KiB

/** Field names that are kept as strings besides the known ones, in the whole process; about 100 KiB. */
export const HEADER_NAMES_KEPT = 1_024

/** Longer names are made anew for each head. */
export const HEADER_NAME_KEPT_LENGTH_MAX = 64

/** Chunks up to this size are copied behind their size line: one write costs less than three. */
export const CHUNK_COPIED_BYTES_MAX = 2 * KiB
