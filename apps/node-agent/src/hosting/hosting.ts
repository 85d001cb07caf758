import type { SpiffeId } from '@ambient-lab/pki'
import type { Clock, Random } from '@ambient-lab/std'
import type { EventReport, WorkloadReport } from '@ambient-lab/xds'
import type { Mesh } from './mesh.ts'
import type { Check } from './probe.ts'
import type { ProxyThreads } from './proxy-threads.ts'
import type { SimulatedWorkloads } from './simulated-workloads.ts'

/** What running workloads takes. */
export interface HostingComponents {
  readonly clock: Clock
  readonly random: Random
  readonly mesh: Mesh
  readonly simulated: SimulatedWorkloads
  readonly proxies: ProxyThreads
  readonly check: Check
  /** The agent's own variables, of which programs get a few. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly certificateOf: (identity: SpiffeId) => WorkloadReport['certificate'] | undefined
  readonly onEvent: (event: EventReport) => void
}

export interface HostingInit {
  readonly node: string
  /** Where containers listen. */
  readonly host: string
  /** Folder for the volumes of programs; made when it is needed. */
  readonly volumesDir: string
  /** Known once the control plane said it. */
  readonly trust: () => { readonly trustDomain: string }
}
