import { KiB, MiB } from '@ambient-lab/std'

/** One message: Istio's own gRPC limit is 200 MiB; 10,000 workloads are about 10 MiB here. */
export const MESSAGE_BYTES_MAX = 64 * MiB
/** Bytes queued on a link from which `send` answers false. */
export const LINK_QUEUE_HIGH_BYTES = 512 * KiB
/** Bytes queued at which the sender is told to go on. */
export const LINK_QUEUE_LOW_BYTES = 64 * KiB
/** Bytes queued at which a peer that reads nothing is given up: two largest messages. */
export const LINK_QUEUE_MAX_BYTES = 2 * MESSAGE_BYTES_MAX

/** Of the texts of resources that are kept for the next agent: as many as 10,000 workloads have. */
export const ENCODED_CHARACTERS_MAX = 10 * MiB
/** After the first of them was written. */
export const ENCODED_KEPT_MS = 1000

export const PING_PERIOD_MS = 1000
/** Silence after which a link counts as dead. */
export const LINK_DEAD_AFTER_MS = 3000
/** An agent that says nothing for so long after connecting is no agent. */
export const HELLO_TIMEOUT_MS = 5000
/** What a peer gets to answer a close before the connection is cut. */
export const CLOSE_DEADLINE_MS = 500
export const DIAL_TIMEOUT_MS = 5000

/**
 * From one push to an agent to the next: a change that comes alone goes out with the turn that made it, and those of a
 * flood travel together: a fifth of what a change may take to be in force everywhere.
 */
export const PUSH_INTERVAL_MS = 10
export const CALL_TIMEOUT_MS = 1000
export const CALLS_IN_FLIGHT_MAX = 256
export const SIGN_TIMEOUT_MS = 10_000
/** Certificate requests of one agent that are worked on at once; more are refused with BUSY and come again. */
export const SIGNS_IN_FLIGHT_MAX = 64

/** ztunnel's: 10 ms to 15 s; the lab caps at 1 s, since a person is watching. */
export const RECONNECT_INITIAL_MS = 10
export const RECONNECT_MAX_MS = 1000

/** Events that wait for the link; older ones are dropped. */
export const PENDING_EVENTS_MAX = 256
