import type { SpiffeId } from '@ambient-lab/pki'
import type { HostPort } from './container.ts'

/** A workload of this node as its ztunnel knows it. */
export interface MeshWorkload {
  readonly uid: string
  readonly name: string
  readonly namespace: string
  readonly identity: SpiffeId
  readonly address: string
  readonly captured: boolean
  /** Where a container port really listens; undefined while nothing does. */
  dialTarget(port: number): HostPort | undefined
}

/** The part of the ztunnel that hosting needs. */
export interface Mesh {
  addWorkload(workload: MeshWorkload): Promise<{ readonly capture: HostPort }>
  /** Drains the workload's connections. */
  removeWorkload(uid: string): Promise<void>
}
