import type { LocalWorkload } from '@ambient-lab/dataplane'
import type { HostPort } from './container.ts'

/** The part of the ztunnel that hosting needs. */
export interface Mesh {
  /** @returns its way out, but for one with a sidecar, and its DNS */
  addWorkload(workload: LocalWorkload): Promise<{ readonly capture?: HostPort; readonly dns?: HostPort }>
  /** Drains the workload's connections. */
  removeWorkload(uid: string): Promise<void>
}
