import { KiB, MiB } from '@ambient-lab/std'

/** Lines kept for each workload, and for the agent itself; `kubectl logs` shows no more. */
export const LOG_LINES_MAX = 2000

/** A longer line is cut: one program without newlines must not fill the memory of its node. */
export const LOG_LINE_BYTES_MAX = 8 * KiB

/** A thread of simulated workloads that has none left is let go after this: the next one takes 0.1 s to start another. */
export const IDLE_THREAD_MS = 10_000

/** Restart delays. A cluster waits 10 s … 5 min; people who watch a lab do not. */
export const RESTART_BACKOFF_INITIAL_MS = 500
export const RESTART_BACKOFF_MAX_MS = 30_000

/** A container that ran this long has recovered: its next failure starts the delays anew. */
export const RESTART_BACKOFF_RESET_MS = 60_000

/** From SIGTERM to SIGKILL for a child program, and for requests in flight of a simulated one. */
export const CONTAINER_STOP_GRACE_MS = 2000

/** Between two readiness probes while a port has never answered, and afterwards. */
export const PROBE_PERIOD_STARTING_MS = 50
export const PROBE_PERIOD_MS = 1000

/** The same of a command: starting one costs more than knocking at a port. */
export const EXEC_PROBE_PERIOD_STARTING_MS = 500

/** A port that did not answer so often is asked no more often than others. */
export const PROBE_STARTING_FAILURES = 100
export const PROBE_TIMEOUT_MS = 1000

/** Of what an `exec` probe wrote: an event's message holds no more in Kubernetes. */
export const PROBE_OUTPUT_BYTES_MAX = KiB

/** Failed probes in a row until a workload that was ready counts as unready: Kubernetes' failureThreshold. */
export const PROBE_FAILURES_MAX = 3

/** Reports are collected this long, so that ten pods that start together are one message. */
export const REPORT_COALESCE_MS = 5

/** Events waiting for a control plane that is away; older ones are dropped. */
export const EVENTS_PENDING_MAX = 500

/** Threads of workloads: an app that hoards memory ends its worker, never the node. */
export const WORKLOADS_HEAP_MIB_MAX = 256

/** Threads of L7 proxies: buffers are bounded per request, so that this is some ten thousand of them at once. */
export const PROXY_HEAP_MIB_MAX = 512

/** Of an HTTP request that a simulated workload reads or a response that it takes in. */
export const APP_BODY_BYTES_MAX = 8 * MiB

/** Idle upstream connections a workload keeps for each destination. */
export const APP_IDLE_CONNECTIONS_MAX = 64

/** How long a workload's server keeps an idle connection; longer than clients keep theirs, so that they never race. */
export const APP_KEEP_ALIVE_MS = 75_000
export const APP_CLIENT_IDLE_MS = 30_000

/** SOCKS5 answers in loopback time; the mesh's connect time-out of 10 s hides behind it. */
export const SOCKS5_TIMEOUT_MS = 15_000

/** The joining agent's patience with a control plane that is about to start. */
export const JOIN_PATIENCE_MS = 10_000
export const JOIN_RETRY_MS = 25
export const JOIN_RESPONSE_BYTES_MAX = MiB

/** Load progress goes to the control plane this often. */
export const LOAD_PROGRESS_PERIOD_MS = 500

/** A request that left this much after its intended start is late: a timer's own inaccuracy is below it. */
export const LOAD_LATE_MS = 5

/** One answer of a target is awaited this long. */
export const LOAD_REQUEST_TIMEOUT_MS = 30_000

/** Admin requests carry no bodies that matter. */
export const ADMIN_HEADER_BYTES_MAX = 16 * KiB

/** How often the file with revocation lists is looked at: a revoked peer is cut within this time. */
export const CRL_POLL_MS = 1_000

/** How long a collector of spans may take. */
export const SPANS_POST_TIMEOUT_MS = 10_000

/** Of `/debug/pprof`: ztunnel's defaults, and what nobody needs more of. */
export const PROFILE_SECONDS_DEFAULT = 10
export const PROFILE_SECONDS_MAX = 300
export const PROFILE_FREQUENCY_HZ_DEFAULT = 100
export const PROFILE_FREQUENCY_HZ_MAX = 10_000
