import type { SpiffeId } from '@ambient-lab/pki'
import type { HostPort } from '../address.ts'

/** A workload that runs on this node, as its host describes it. */
export interface LocalWorkload {
  readonly uid: string
  readonly name: string
  readonly namespace: string
  readonly identity: SpiffeId
  /** The pod's address in the lab. */
  readonly address: string
  /** Whether the mesh captures it; if not, its connections travel as they are and no policy guards it. */
  readonly captured: boolean
  /** Whether a sidecar is at its side: its connections are that one's, both ways, and none are let in here. @default false */
  readonly hasSidecar?: boolean
  /** Whether what comes in plaintext passes unseen, although it is captured: no policy guards that way. @default false */
  readonly bypassesInboundCapture?: boolean
  /** Whether it knows the names of the cluster only, as from the cluster's own DNS. @default false */
  readonly bypassesDnsCapture?: boolean
  /** Where a container port really listens on this machine; undefined when nothing does. */
  dialTarget(port: number): HostPort | undefined
}
