import { GiB } from '@ambient-lab/std'

/** Events remembered for watchers that come back. At a lab's usual dozen changes a second: a quarter of an hour. */
export const HISTORY_EVENTS_MAX = 10_000

/** Size of the database file; beyond it writes fail as on a full disk, before the disk is. */
export const STORE_BYTES_MAX = 2 * GiB

/** What the write-ahead log may keep on disk once it is folded into the database. */
export const WAL_KEPT_BYTES_MAX = 16 * 1024 * 1024
