import { MiB } from '@ambient-lab/std'

/** Bytes of a request's body; kube-apiserver's own limit. */
export const BODY_BYTES_MAX = 3 * MiB

/** Nesting of a JSON body: deeper than any manifest, far from the end of the stack for those who recurse over it. */
export const BODY_DEPTH_MAX = 100

/** Bytes of the request line and headers together. */
export const HEADER_BYTES_MAX = 32 * 1024

/** Characters of watch events that are written at once, when that many happen in one turn. */
export const WATCH_CHUNK_LENGTH = 64 * 1024

/** How long a watcher may leave what it was sent unread before its connection is cut. */
export const WATCH_STALL_MS = 60_000

/** How long a caller may take to finish its TLS handshake. */
export const HANDSHAKE_TIMEOUT_MS = 10_000

/** Watches open at once, over all callers. An agent holds none; kubectl and k9s a dozen. */
export const WATCHES_MAX = 5_000

/** Connections open at once. */
export const CONNECTIONS_MAX = 4_000

/** Between two bookmarks; Kubernetes sends one about every minute. */
export const BOOKMARK_PERIOD_MS = 60_000

/** How long a connection may idle between requests. Longer than any client's own, so that the client closes. */
export const KEEP_ALIVE_MS = 120_000

/** How long requests in flight may take once the server is told to stop. */
export const DRAIN_DEADLINE_MS = 2_000

/** Objects in one list answer when the caller asks for no limit: none, as Kubernetes. Beyond this a limit is capped. */
export const LIST_LIMIT_MAX = 100_000

/** Attempts at a free name for `generateName`: five random characters over 27 letters, so once nearly always does. */
export const GENERATE_NAME_ATTEMPTS_MAX = 8
