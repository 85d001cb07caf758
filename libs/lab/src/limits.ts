import { KiB, MiB } from '@ambient-lab/std'

/** From spawn to the ready line. A cold disk and a busy laptop fit; a hung program does not. */
export const START_LIMIT_MS = 20_000

/** Between SIGTERM and SIGKILL: an agent drains its connections in this time. */
export const STOP_GRACE_MS = 3_000

/** After SIGKILL the kernel needs a moment; longer means a process in uninterruptible sleep, and we say so. */
export const KILL_LIMIT_MS = 2_000

/** How often the end of a process that is not our child is looked for. */
export const EXIT_POLL_MS = 5

/** A whole `down`: agents, control plane, supervisor, one after the other. */
export const DOWN_LIMIT_MS = 3 * (STOP_GRACE_MS + KILL_LIMIT_MS)

/** An agent that was started ahead of its Node object waits this long for it. */
export const NODE_OBJECT_LIMIT_MS = 15_000

/** How long `up` waits for another `up` or `down` of the same lab. */
export const LOCK_LIMIT_MS = DOWN_LIMIT_MS

/** A takeover of a stale lock takes microseconds; one this old was interrupted. */
export const TAKEOVER_STALE_MS = 5_000

/** One request to the supervisor's socket, and one answer. */
export const SOCKET_MESSAGE_BYTES_MAX = 256 * KiB

/** Linux allows 107 bytes for the path of a unix socket, macOS 103. */
export const SOCKET_PATH_BYTES_MAX = 100

/** Connections to the API at once, watches not counted: a TLS handshake costs more than ten requests. */
export const API_CONNECTIONS_MAX = 4

/** Objects that go to the API in one request, and one transaction: ten milliseconds of its work. */
export const BATCH_OBJECTS_MAX = 64

/** Of their JSON; a request's body has 3 MiB at most, and one object has one and a half. */
export const BATCH_CHARACTERS_MAX = MiB

/** The API works on one while the next is on its way. */
export const BATCHES_AT_ONCE = 2

/** One request to the API that is no watch, from when its turn has come. */
export const API_REQUEST_LIMIT_MS = 15_000

/** The body of one answer, and one line of a watch. */
export const API_BODY_BYTES_MAX = 64 * MiB

/** Reconnects of a watch: first delay and ceiling. */
export const WATCH_RETRY_INITIAL_MS = 20
export const WATCH_RETRY_MAX_MS = 1_000

/** Lines of a program's log that an error about its start quotes. */
export const LOG_LINES_QUOTED = 8
