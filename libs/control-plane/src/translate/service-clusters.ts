import { CLUSTER_TYPE } from '@ambient-lab/xds'
import { serviceTarget } from '../routing/targets.ts'
import {
  BACKEND_TLS_POLICIES,
  CONFIG_MAPS,
  DESTINATION_RULES,
  ENVOY_FILTERS,
  NAMESPACES,
  PODS,
  RATE_LIMIT_POLICIES,
  SECRETS,
  SERVICES,
  VIRTUAL_SERVICES,
  X_BACKEND_TRAFFIC_POLICIES,
} from '../stored-kinds.ts'
import { clustersOfTarget } from './cluster-audience.ts'
import { ofGateways, ofPod, rateLimitService, usersOfConfigMap, usersOfSecret } from './cluster-dependencies.ts'
import { ofNamespace } from './dependencies.ts'
import {
  backendsOfRoute,
  destinationsOfVirtualService,
  hostOfDestinationRule,
  targetsOfPolicy,
} from './l7-dependencies.ts'
import { defineTranslation } from './translation.ts'
import { serviceWaypoint } from './waypoint-attachment.ts'

/** What L7 proxies send to for the ports and subsets of a Service. */
export default defineTranslation({
  name: 'service-clusters',
  kind: SERVICES,
  typeUrl: CLUSTER_TYPE,
  translate(service, view) {
    const target = serviceTarget(service, view.mesh.clusterDomain)
    return target ? clustersOfTarget(target, serviceWaypoint(view, service).waypoint !== undefined, view) : []
  },
  dependencies: {
    [NAMESPACES]: ofNamespace,
    ...ofGateways(SERVICES),
    [PODS]: ofPod('Service'),
    ...backendsOfRoute('Service'),
    [VIRTUAL_SERVICES]: destinationsOfVirtualService('Service'),
    [DESTINATION_RULES]: hostOfDestinationRule('Service'),
    [BACKEND_TLS_POLICIES]: targetsOfPolicy('Service'),
    [X_BACKEND_TRAFFIC_POLICIES]: targetsOfPolicy('Service'),
    [CONFIG_MAPS]: usersOfConfigMap('Service'),
    [SECRETS]: usersOfSecret('Service'),
    [RATE_LIMIT_POLICIES]: rateLimitService('Service'),
    [ENVOY_FILTERS]: rateLimitService('Service'),
  },
})
