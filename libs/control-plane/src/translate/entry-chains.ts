import { FILTER_CHAIN_TYPE } from '@ambient-lab/xds'
import { serviceChains } from '../routing/service-chain.ts'
import { entryTargets } from '../routing/targets.ts'
import { NAMESPACES, PODS, REFERENCE_GRANTS, SERVICE_ENTRIES, SERVICES, VIRTUAL_SERVICES } from '../stored-kinds.ts'
import { attachedToWaypoint, ofNamespace } from './dependencies.ts'
import { entryVisibility } from './entry-visibility.ts'
import {
  both,
  hostsOfVirtualService,
  parentsOfGranted,
  parentsOfHostSenders,
  parentsOfRoute,
  parentsOfSenders,
  rivalEntries,
  usersOfReplica,
} from './l7-dependencies.ts'
import { guardedBy } from './security-dependencies.ts'
import { chainsOfSidecars, turnOfSidecars } from './sidecar-chains.ts'
import { defineTranslation } from './translation.ts'
import { serviceWaypoint } from './waypoint-attachment.ts'
import { chainsOfWaypoints } from './waypoint-chains.ts'

/** What waypoints and the sidecars of callers do with the traffic of each host of a ServiceEntry. */
export default defineTranslation({
  name: 'entry-chains',
  kind: SERVICE_ENTRIES,
  typeUrl: FILTER_CHAIN_TYPE,
  translate(entry, view) {
    const namespace = entry.metadata.namespace ?? ''
    const visibility = entryVisibility(view.mesh.serviceEntryVisibility, view.namespace(namespace))
    const attachment = serviceWaypoint(view, entry, visibility)
    const targets = entryTargets(entry).filter(
      ({ hostname }) => view.entriesOf(hostname).winners.get(namespace) === entry.metadata.name,
    )
    return targets.flatMap((target) => [
      ...chainsOfWaypoints(attachment, (waypoint) => serviceChains(target, waypoint, view), view),
      ...chainsOfSidecars(target, view),
    ])
  },
  dependencies: {
    [NAMESPACES]: ofNamespace,
    ...attachedToWaypoint(SERVICE_ENTRIES),
    [PODS]: both(usersOfReplica(SERVICE_ENTRIES), turnOfSidecars),
    ...guardedBy(SERVICE_ENTRIES),
    ...parentsOfRoute('ServiceEntry'),
    [VIRTUAL_SERVICES]: hostsOfVirtualService('ServiceEntry'),
    [SERVICES]: parentsOfSenders('ServiceEntry'),
    [SERVICE_ENTRIES]: both(rivalEntries, parentsOfHostSenders('ServiceEntry')),
    [REFERENCE_GRANTS]: parentsOfGranted('ServiceEntry'),
  },
})
