import { KiB, MiB } from '@ambient-lab/std'

/** A keep-alive connection without a request: Envoy's default `idle_timeout`. */
export const DOWNSTREAM_IDLE_TIMEOUT_MS = 3_600_000

/** A TCP connection that nothing moves on: Envoy's default `idle_timeout` of its TCP proxy. */
export const TCP_IDLE_TIMEOUT_MS = 3_600_000

/** A request that neither side moves: Envoy's default `stream_idle_timeout`. */
export const STREAM_IDLE_TIMEOUT_MS = 300_000

/** From the first byte of a head to its last: Envoy leaves it open, which a slow client would use up connections with. */
export const REQUEST_HEADERS_TIMEOUT_MS = 60_000

/** Of a request whose answer came before its end: so much more is read and dropped, so that the connection can go on. */
export const DROPPED_BODY_BYTES_MAX = 64 * KiB

/** How long a closing connection goes on reading, so that the client sees the answer and no reset: Envoy's delayed close. */
export const LINGER_MS = 1_000

/** Requests at once on one HTTP/2 connection: Envoy's is 100 behind HBONE, and so are the streams of a tunnel. */
export const HTTP2_STREAMS_MAX = 100

/** What a peer may send on one HTTP/2 stream before it is granted more. */
export const HTTP2_WINDOW_BYTES = 256 * KiB

/** Between the notice that an HTTP/2 connection will end and its end, where the client does not say that it has seen it. */
export const HTTP2_DRAIN_NOTICE_MS = 1_000

/** Body kept for another try: Envoy's per-connection buffer limit. */
export const RETRY_BUFFER_BYTES_MAX = MiB

/** Unsent bytes of a mirror's body at which it is given up. */
export const MIRROR_BUFFER_BYTES_MAX = MiB

/** First bytes of a connection whose protocol nobody declared. */
export const SNIFF_BYTES_MAX = 64

/** From accept to the first bytes, then it is taken for TCP: Istio's `protocolDetectionTimeout` is off, clients that wait are not. */
export const SNIFF_TIMEOUT_MS = 5_000

/** Connection pools of one cluster: those with nothing open are forgotten when there are more. */
export const POOLS_MAX = 10_000

/** Hosts of a cluster that goes where its clients were going; beyond it the oldest is forgotten. */
export const ORIGINAL_DESTINATIONS_MAX = 1_000

/** Metric handles by pair of ends; a cache, so that beyond it all go. */
export const REQUEST_SERIES_MAX = 10_000

/** Characters of a label's value that an expression made, which may be of a request's own. */
export const TAG_VALUE_LENGTH_MAX = 256

/** Until a request of the proxy's own stands; its caller bounds the whole. */
export const OWN_REQUEST_TIMEOUT_MS = 5_000

/** Answers to requests of the proxy's own: a key set is a few KiB. */
export const OWN_RESPONSE_BYTES_MAX = MiB

/** How long a collector of spans may take. */
export const SPANS_POST_TIMEOUT_MS = 10_000

/** Text of one access log field: a client chooses its length. */
export const LOG_FIELD_LENGTH_MAX = 8 * KiB

/** Answers of policy about requests that can be asked again, of refusals and of the others each; some KB with their headers. */
export const REQUEST_DECISIONS_KEPT = 512

/** Requests that something else than DENY and ALLOW refused: tokens, authorizers, routes, limits, backends. */
export const OTHER_REFUSALS_KEPT = 256

/** Between two requests that passed and are kept: ten seconds of a busy waypoint fill the ring. */
export const REQUEST_DECISION_INTERVAL_MS = 20

/** How often messages of gRPC calls that go on are told of: Istio's `tcp_reporting_duration`. */
export const GRPC_MESSAGES_REPORT_MS = 5_000
