import { KiB } from '@ambient-lab/std'

/** Label combinations of one metric; those beyond it are counted together, each label saying `overflow`. */
export const SERIES_MAX = 10_000

/** W3C Baggage §3.3.2 asks for at least this much, and nobody needs more. */
export const BAGGAGE_BYTES_MAX = 8 * KiB
export const BAGGAGE_MEMBERS_MAX = 64

/** A `traceparent` of a later version may be longer than ours of 55; beyond this it is noise. */
export const TRACEPARENT_CHARACTERS_MAX = 256

/** Members of a `tracestate`: the standard's bound. */
export const TRACESTATE_MEMBERS_MAX = 32

/** Scopes that one level specification may name. */
export const LOG_SCOPES_MAX = 64

/** One value in a log line; longer ones are cut. */
export const LOG_VALUE_CHARACTERS_MAX = 4 * KiB

/** Latencies are kept in microseconds with three digits up to an hour; a longer one counts as an hour. */
export const LATENCY_US_MAX = 3_600_000_000
export const LATENCY_DIGITS = 3

/** Spans that wait to be sent; beyond it the oldest go. Some hundred bytes each, sent every second. */
export const SPANS_QUEUED_MAX = 4_096
