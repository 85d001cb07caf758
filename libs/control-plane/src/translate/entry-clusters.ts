import type { Resource } from '@ambient-lab/api'
import { CLUSTER_TYPE } from '@ambient-lab/xds'
import { entryTargets } from '../routing/targets.ts'
import type { StoreEvent } from '../store/store.ts'
import {
  BACKEND_TLS_POLICIES,
  CONFIG_MAPS,
  DESTINATION_RULES,
  ENVOY_FILTERS,
  GRPC_ROUTES,
  HTTP_ROUTES,
  NAMESPACES,
  PODS,
  RATE_LIMIT_POLICIES,
  SECRETS,
  SERVICE_ENTRIES,
  TCP_ROUTES,
  TLS_ROUTES,
  VIRTUAL_SERVICES,
} from '../stored-kinds.ts'
import { clustersOfTarget } from './cluster-audience.ts'
import { ofGateways, ofPod, rateLimitService, usersOfConfigMap, usersOfSecret } from './cluster-dependencies.ts'
import { ofNamespace } from './dependencies.ts'
import { entryVisibility } from './entry-visibility.ts'
import {
  destinationsOfVirtualService,
  hostKeys,
  hostOfDestinationRule,
  rivalEntries,
  targetsOfPolicy,
} from './l7-dependencies.ts'
import { backendIds } from './route-index.ts'
import { defineTranslation, type Touched } from './translation.ts'
import type { TranslationView } from './view.ts'
import { serviceWaypoint } from './waypoint-attachment.ts'

/** What L7 proxies send to for the hosts of a ServiceEntry. */
export default defineTranslation({
  name: 'entry-clusters',
  kind: SERVICE_ENTRIES,
  typeUrl: CLUSTER_TYPE,
  translate(entry, view) {
    const namespace = entry.metadata.namespace ?? ''
    const visibility = entryVisibility(view.mesh.serviceEntryVisibility, view.namespace(namespace))
    const hasWaypoint = serviceWaypoint(view, entry, visibility).waypoint !== undefined
    return entryTargets(entry)
      .filter(({ hostname }) => view.entriesOf(hostname).winners.get(namespace) === entry.metadata.name)
      .flatMap((target) => clustersOfTarget(target, hasWaypoint, view))
  },
  dependencies: {
    [NAMESPACES]: ofNamespace,
    ...ofGateways(SERVICE_ENTRIES),
    [PODS]: ofPod('ServiceEntry'),
    [HTTP_ROUTES]: hostBackends,
    [GRPC_ROUTES]: hostBackends,
    [TCP_ROUTES]: hostBackends,
    [TLS_ROUTES]: hostBackends,
    [VIRTUAL_SERVICES]: destinationsOfVirtualService('ServiceEntry'),
    [DESTINATION_RULES]: hostOfDestinationRule('ServiceEntry'),
    [BACKEND_TLS_POLICIES]: targetsOfPolicy('ServiceEntry'),
    [CONFIG_MAPS]: usersOfConfigMap('ServiceEntry'),
    [SECRETS]: usersOfSecret('ServiceEntry'),
    [SERVICE_ENTRIES]: rivalEntries,
    [RATE_LIMIT_POLICIES]: rateLimitService('ServiceEntry'),
    [ENVOY_FILTERS]: rateLimitService('ServiceEntry'),
  },
})

const HOSTNAME = 'Hostname '

/** Entries of the hosts that a route sends to by their name, before and after. */
function hostBackends({ object, previous }: StoreEvent, view: TranslationView): Touched {
  const routes = [object, previous].filter((state): state is Resource => state !== undefined)
  const hosts = routes.flatMap(backendIds).flatMap((id) => (id.startsWith(HOSTNAME) ? id.slice(HOSTNAME.length) : []))
  return { keys: hostKeys('ServiceEntry', hosts, view) }
}
