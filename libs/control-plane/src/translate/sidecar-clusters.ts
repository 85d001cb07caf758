import { hasSidecar } from '@ambient-lab/api'
import { BLACK_HOLE_CLUSTER, CLUSTER_TYPE, type Cluster, PASSTHROUGH_CLUSTER } from '@ambient-lab/xds'
import { inboundClusters } from '../routing/sidecar-inbound.ts'
import { trafficPolicyFields } from '../routing/traffic-policy.ts'
import { PODS } from '../stored-kinds.ts'
import { isPlaced } from './pod-workload.ts'
import { portsOfSidecars } from './sidecar-dependencies.ts'
import { defineTranslation } from './translation.ts'

/** A day: there is nothing to resolve. */
const NEVER_MS = 86_400_000

/** What a sidecar sends to besides services: its workload, and to where nobody knows anything. */
export default defineTranslation({
  name: 'sidecar-clusters',
  kind: PODS,
  typeUrl: CLUSTER_TYPE,
  translate(pod, view) {
    if (!hasSidecar(pod) || !isPlaced(pod)) return []
    const nodes = [pod.spec!.nodeName!]
    return [...BEYOND, ...inboundClusters(pod, view)].map((resource) => ({ name: resource.name, resource, nodes }))
  },
  dependencies: portsOfSidecars,
})

const BEYOND: readonly Cluster[] = [
  {
    name: PASSTHROUGH_CLUSTER,
    endpoints: { kind: 'original-destination' },
    protocol: 'downstream',
    // Whose pod is at an address that was dialled past all services, Istio's sidecars do not ask.
    plaintext: 'all',
    ...trafficPolicyFields({}),
  },
  {
    name: BLACK_HOLE_CLUSTER,
    endpoints: { kind: 'dns', hosts: [], dnsTtlMs: NEVER_MS },
    protocol: 'downstream',
    ...trafficPolicyFields({}),
  },
]
