import { formatSpiffeId, type SpiffeId } from '@ambient-lab/pki'
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

/** Keys and order are ztunnel's; what is empty is left out. */
function baggageOf(workload: Workload): string {
  const { locality } = workload
  const entries = [
    ['k8s.cluster.name', workload.clusterId],
    ['k8s.namespace.name', workload.namespace],
    [`k8s.${workload.workloadType.toLowerCase()}.name`, workload.workloadName],
    ['service.name', workload.canonicalName],
    ['service.version', workload.canonicalRevision],
    ['cloud.region', locality?.region ?? ''],
    ['cloud.availability_zone', locality?.zone ?? ''],
  ]
  return entries.flatMap(([key, value]) => (value ? [`${key}=${value}`] : [])).join(',')
}
