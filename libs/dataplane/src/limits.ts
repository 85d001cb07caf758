import { KiB } from '@ambient-lab/std'

/** Ports that belong to the proxy; a tunnel aimed at one of them would call itself. */
export const PORT_OUTBOUND_CAPTURE = 15001
export const PORT_INBOUND_PLAINTEXT = 15006
export const PORT_HBONE = 15008
export const PORT_SOCKS5 = 15080

/** How long a connection waits until its own workload is known here. ztunnel's value. */
export const SOURCE_WORKLOAD_WAIT_MS = 5_000

/** To a workload, or to another node. ztunnel's `connection_timeout`. */
export const CONNECT_TIMEOUT_MS = 10_000

/** ztunnel's CONNECTION_TERMINATION_DEADLINE. */
export const DRAIN_DEADLINE_MS = 5_000

/** From accept until a whole SOCKS or CONNECT request has arrived. */
export const CAPTURE_HANDSHAKE_TIMEOUT_MS = 10_000

/** What a program may send before it is told that the connection stands; beyond it the program is held back. */
export const CAPTURE_EARLY_BYTES_MAX = 64 * KiB

/** Head of a CONNECT request. Programs send a few hundred bytes; Envoy allows 60 KiB, proxies that only tunnel need less. */
export const HTTP_CONNECT_HEAD_BYTES_MAX = 8 * KiB

/** RFC 1928: two fixed bytes and up to 255 methods; then 4 + 1 + 255 + 2 for a request by name. */
export const SOCKS5_GREETING_BYTES_MAX = 257
export const SOCKS5_REQUEST_BYTES_MAX = 262

/** PROXY protocol v2: 16 fixed bytes and the rest. Addresses take 36; TLVs of a chain of proxies stay below a packet. */
export const PROXY_HEADER_BYTES_MAX = 16 + 1_024

/** A connection on the underlay says whom it is for at once. */
export const PROXY_HEADER_TIMEOUT_MS = 5_000

/** RFC 1035 §2.3.4. */
export const HOST_NAME_LENGTH_MAX = 253

/** CONNECT's `:authority`: a name, a colon and a port. */
export const AUTHORITY_LENGTH_MAX = HOST_NAME_LENGTH_MAX + 6

/** Connections that ended and can still be listed; at a busy node some minutes' worth, about 1 KiB each. */
export const ENDED_CONNECTIONS_KEPT = 1_024

/** Answers of policy that can be asked again; a busy minute's worth, some 300 bytes each. */
export const DECISIONS_KEPT = 8_192

/** Edges counted for the topology; beyond it the rest is counted as one. */
export const EDGES_MAX = 10_000

/** Metric handles kept per (source, destination, flags); a cache, so that beyond it the oldest go. */
export const METRIC_HANDLES_MAX = 10_000

/** Elements of any list in a resource: as many as a policy may have values. */
export const RESOURCE_LIST_MAX = 65_536

/** Any text field of a resource. SPIFFE ids may have 2048 bytes. */
export const RESOURCE_TEXT_MAX = 2_048

/** ztunnel's DNS proxy. */
export const DNS_TTL_SECONDS = 30

/** RFC 1035 §4.2.2: a length of two bytes. */
export const DNS_MESSAGE_BYTES_MAX = 65_535

/** Until a resolver of the machine is given up; what resolv.conf's `timeout` is by default. */
export const DNS_UPSTREAM_TIMEOUT_MS = 5_000

/** Questions of one workload that are being passed on; beyond it SERVFAIL. */
export const DNS_QUESTIONS_PENDING_MAX = 256

/** Of one workload; RFC 7766 §6.2.2 asks for few. */
export const DNS_TCP_CONNECTIONS_MAX = 64

/** RFC 7766 §6.2.3: in the order of seconds. */
export const DNS_TCP_IDLE_MS = 10_000

/** Lookups of names outside the mesh. */
export const NAME_LOOKUP_TIMEOUT_MS = 5_000
