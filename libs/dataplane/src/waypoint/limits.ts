import { KiB, MiB } from '@ambient-lab/std'

/** A keep-alive connection without a request: Envoy's default `idle_timeout`. */
export const DOWNSTREAM_IDLE_TIMEOUT_MS = 3_600_000

/** A request that neither side moves: Envoy's default `stream_idle_timeout`. */
export const STREAM_IDLE_TIMEOUT_MS = 300_000

/** From the first byte of a head to its last: Envoy leaves it open, which a slow client would use up connections with. */
export const REQUEST_HEADERS_TIMEOUT_MS = 60_000

/** How long a closing connection goes on reading, so that the client sees the answer and no reset: Envoy's delayed close. */
export const LINGER_MS = 1_000

/** Body kept for another try: Envoy's per-connection buffer limit. */
export const RETRY_BUFFER_BYTES_MAX = MiB

/** Unsent bytes of a mirror's body at which it is given up. */
export const MIRROR_BUFFER_BYTES_MAX = MiB

/** First bytes of a connection whose protocol nobody declared. */
export const SNIFF_BYTES_MAX = 64

/** From accept to the first bytes, then it is taken for TCP: Istio's `protocolDetectionTimeout` is off, clients that wait are not. */
export const SNIFF_TIMEOUT_MS = 5_000

/** Time to connect where a cluster does not say: Envoy's and Istio's. */
export const CLUSTER_CONNECT_TIMEOUT_MS = 10_000

/** Connection pools with nothing open are forgotten when there are more. */
export const POOLS_MAX = 10_000

/** Metric handles by pair of ends; a cache, so that beyond it all go. */
export const REQUEST_SERIES_MAX = 10_000

/** Text of one access log field: a client chooses its length. */
export const LOG_FIELD_LENGTH_MAX = 8 * KiB
