import type { Pod } from '@ambient-lab/api'
import { FILTER_CHAIN_TYPE, type FilterChain } from '@ambient-lab/xds'
import { ENCAP_CLUSTER } from '../routing/cluster-names.ts'
import { waypointRateLimits, withRateLimits } from '../routing/rate-limits.ts'
import { httpSecurity, securityOf, tcpSecurity } from '../routing/security.ts'
import { defaultRoute, type WaypointRef } from '../routing/service-chain.ts'
import { NAMESPACES, PODS } from '../stored-kinds.ts'
import { attachedToWaypoint, ofNamespace } from './dependencies.ts'
import { usersOfReplica } from './l7-dependencies.ts'
import { podUid } from './pod-workload.ts'
import { guardedBy } from './security-dependencies.ts'
import { defineTranslation } from './translation.ts'
import type { TranslationView } from './view.ts'
import { waypointAttachment } from './waypoint-attachment.ts'
import { chainsOfWaypoints } from './waypoint-chains.ts'

/** Where a waypoint is for workloads too: traffic that was meant for a pod itself, whatever its port. */
export default defineTranslation({
  name: 'workload-chains',
  kind: PODS,
  typeUrl: FILTER_CHAIN_TYPE,
  translate(pod, view) {
    if (!isReachable(pod)) return []
    const { namespace = '', name } = pod.metadata
    const attachment = waypointAttachment(view, pod, 'workload')
    const uid = podUid(namespace, name, view.mesh.clusterId)
    return chainsOfWaypoints(attachment, (waypoint) => [workloadChain(uid, waypoint, view)], view)
  },
  dependencies: {
    [NAMESPACES]: ofNamespace,
    ...attachedToWaypoint(PODS),
    [PODS]: usersOfReplica(PODS),
    ...guardedBy(PODS),
  },
})

function isReachable({ status }: Pod): boolean {
  return status?.podIP !== undefined && status.phase !== 'Succeeded' && status.phase !== 'Failed'
}

/** Nobody declares the protocol of a pod's port: the first bytes tell. */
function workloadChain(uid: string, waypoint: WaypointRef, view: TranslationView): FilterChain {
  const proxy = `${waypoint.namespace}/${waypoint.name}`
  const security = securityOf(waypoint, undefined, view)
  const backends = [{ cluster: ENCAP_CLUSTER, weight: 1 }]
  return {
    name: `${proxy}|${uid}|0`,
    proxy,
    match: { kind: 'workload', uid, port: 0 },
    http: withRateLimits(
      {
        statPrefix: 'inbound_0.0.0.0_0',
        virtualHosts: [{ name: 'inbound|http|0', domains: ['*'], routes: [defaultRoute(ENCAP_CLUSTER)] }],
        ...httpSecurity(security, view),
      },
      waypointRateLimits(waypoint, undefined, view),
    ),
    tcp: {
      routes: [{ name: 'default', serverNames: [], destinationCidrs: [], backends }],
      ...tcpSecurity(security, view),
    },
    sniff: true,
  }
}
