import { FILTER_CHAIN_TYPE } from '@ambient-lab/xds'
import { serviceChains } from '../routing/service-chain.ts'
import { serviceTarget } from '../routing/targets.ts'
import { NAMESPACES, PODS, REFERENCE_GRANTS, SERVICE_ENTRIES, SERVICES, VIRTUAL_SERVICES } from '../stored-kinds.ts'
import { attachedToWaypoint, ofNamespace } from './dependencies.ts'
import {
  both,
  hostsOfVirtualService,
  parentsOfGranted,
  parentsOfHostSenders,
  parentsOfRoute,
  parentsOfSenders,
  usersOfReplica,
} from './l7-dependencies.ts'
import { guardedBy } from './security-dependencies.ts'
import { aliasesOf, chainsOfAlias, chainsOfSidecars, turnOfSidecars } from './sidecar-chains.ts'
import { defineTranslation } from './translation.ts'
import { serviceWaypoint } from './waypoint-attachment.ts'
import { chainsOfWaypoints } from './waypoint-chains.ts'

/** What waypoints and the sidecars of callers do with the traffic of a Service, for the nodes that run them. */
export default defineTranslation({
  name: 'service-chains',
  kind: SERVICES,
  typeUrl: FILTER_CHAIN_TYPE,
  translate(service, view) {
    const target = serviceTarget(service, view.mesh.clusterDomain)
    if (!target) return chainsOfAlias(service, view)
    const attachment = serviceWaypoint(view, service)
    return [
      ...chainsOfWaypoints(attachment, (waypoint) => serviceChains(target, waypoint, view), view),
      ...chainsOfSidecars(target, view),
    ]
  },
  dependencies: {
    [NAMESPACES]: ofNamespace,
    ...attachedToWaypoint(SERVICES),
    [PODS]: both(usersOfReplica(SERVICES), turnOfSidecars),
    ...guardedBy(SERVICES),
    ...parentsOfRoute('Service'),
    [VIRTUAL_SERVICES]: hostsOfVirtualService('Service'),
    [SERVICES]: both(parentsOfSenders('Service'), aliasesOf),
    [SERVICE_ENTRIES]: both(parentsOfHostSenders('Service'), aliasesOf),
    [REFERENCE_GRANTS]: parentsOfGranted('Service'),
  },
})
