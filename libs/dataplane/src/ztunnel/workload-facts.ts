import { formatSpiffeId, type SpiffeId } from '@ambient-lab/pki'
import { formatBaggage } from '@ambient-lab/telemetry'
import type { Workload } from '@ambient-lab/xds'

/** What follows from a workload alone and is wanted on each of its connections; made once per version of it. */
export interface WorkloadFacts {
  readonly id: SpiffeId
  /** `spiffe://…` */
  readonly identity: string
  /** W3C baggage as HBONE sends it. */
  readonly baggage: string
}

const facts = new WeakMap<Workload, WorkloadFacts>()

export function factsOf(workload: Workload): WorkloadFacts {
  let known = facts.get(workload)
  if (!known) {
    const id: SpiffeId = {
      trustDomain: workload.trustDomain || 'cluster.local',
      namespace: workload.namespace,
      serviceAccount: workload.serviceAccount || 'default',
    }
    known = { id, identity: formatSpiffeId(id), baggage: baggageOf(workload) }
    facts.set(workload, known)
  }
  return known
}

function baggageOf(workload: Workload): string {
  const { locality } = workload
  return formatBaggage({
    clusterId: workload.clusterId,
    namespace: workload.namespace,
    workloadName: workload.workloadName,
    workloadType: WORKLOAD_TYPES[workload.workloadType],
    serviceName: workload.canonicalName,
    revision: workload.canonicalRevision,
    region: locality?.region,
    zone: locality?.zone,
  })
}

const WORKLOAD_TYPES = { DEPLOYMENT: 'deployment', CRONJOB: 'cronjob', POD: 'pod', JOB: 'job' } as const
