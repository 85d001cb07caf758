import type { AuthorizationPolicy, Service } from '@ambient-lab/api'
import { ADDRESS_TYPE, type Workload } from '@ambient-lab/xds'
import {
  AUTHORIZATION_POLICIES,
  NAMESPACES,
  PEER_AUTHENTICATIONS,
  SERVICE_ENTRIES,
  SERVICES,
  type ServiceEntry,
  WORKLOAD_ENTRIES,
  type WorkloadEntry,
} from '../stored-kinds.ts'
import { policySelector } from './authorization.ts'
import { attachedToWaypoint, ofNamespace, sameNamespaceOrAll, selectedBy } from './dependencies.ts'
import { entryWorkload } from './entry-workload.ts'
import { withNetworks } from './networks.ts'
import { defineTranslation } from './translation.ts'
import type { TranslationView } from './view.ts'
import { applicationTunnelOf } from './waypoint.ts'
import { workloadWaypoint } from './waypoint-attachment.ts'

/** A machine or process outside of the lab that stands for a workload; services select it by its labels. */
export default defineTranslation({
  name: 'workload-entry',
  kind: WORKLOAD_ENTRIES,
  typeUrl: ADDRESS_TYPE,
  translate(entry, view) {
    const workload = workloadEntryWorkload(entry, view)
    return [{ name: workload.uid, resource: { workload } }]
  },
  dependencies: withNetworks({
    [NAMESPACES]: ofNamespace,
    ...attachedToWaypoint(WORKLOAD_ENTRIES),
    [SERVICES]: selectedBy(WORKLOAD_ENTRIES, (service) => (service as Service).spec?.selector),
    [SERVICE_ENTRIES]: selectedBy(WORKLOAD_ENTRIES, (entry) => (entry as ServiceEntry).spec?.workloadSelector?.labels),
    [AUTHORIZATION_POLICIES]: selectedBy(WORKLOAD_ENTRIES, (policy) => policySelector(policy as AuthorizationPolicy), {
      everywhereFromRoot: true,
    }),
    [PEER_AUTHENTICATIONS]: sameNamespaceOrAll,
  }),
})

export function workloadEntryWorkload(entry: WorkloadEntry, view: TranslationView): Workload {
  const { metadata, spec = {} } = entry
  const namespace = metadata.namespace ?? ''
  const uid = `${view.mesh.clusterId}/networking.istio.io/WorkloadEntry/${namespace}/${metadata.name}`
  const services = view.servicesSelecting(namespace, { ...metadata.labels, ...spec.labels })
  return {
    ...entryWorkload({ uid, metadata, spec, services }, view),
    ...workloadWaypoint(entry, view),
    ...applicationTunnelOf(view, metadata),
  }
}
