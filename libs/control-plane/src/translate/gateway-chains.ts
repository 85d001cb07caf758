import { objectKey } from '@ambient-lab/api'
import { FILTER_CHAIN_TYPE } from '@ambient-lab/xds'
import { gatewayChains } from '../routing/gateway-chains.ts'
import { classOfGateway } from '../routing/gateway-listeners.ts'
import {
  CONFIG_MAPS,
  GATEWAY_CLASSES,
  GATEWAYS,
  ISTIO_GATEWAYS,
  LISTENER_SETS,
  NAMESPACES,
  PODS,
  REFERENCE_GRANTS,
  SECRETS,
  SERVICE_ENTRIES,
  SERVICES,
  VIRTUAL_SERVICES,
} from '../stored-kinds.ts'
import { gatewaysAdmitting, gatewaysUsing } from './gateway-dependencies.ts'
import {
  both,
  ingressOfSenders,
  ingressOfVirtualService,
  ofGatewayClass,
  parentOfListenerSet,
  parentsOfGranted,
  parentsOfHostSenders,
  parentsOfRoute,
  parentsOfSenders,
  placementOfReplica,
  runningIngress,
} from './l7-dependencies.ts'
import { guardedGateways } from './security-dependencies.ts'
import { defineTranslation } from './translation.ts'

/** What an ingress gateway does with what comes in on its listeners. */
export default defineTranslation({
  name: 'gateway-chains',
  kind: GATEWAYS,
  typeUrl: FILTER_CHAIN_TYPE,
  translate(gateway, view) {
    if (classOfGateway(gateway, view)?.proxy !== 'gateway') return []
    const nodes = view.routes.nodesOf(objectKey(gateway.metadata))
    return gatewayChains(gateway, view).map((resource) => ({ name: resource.name, resource, nodes }))
  },
  dependencies: {
    [GATEWAY_CLASSES]: ofGatewayClass,
    [LISTENER_SETS]: parentOfListenerSet,
    [PODS]: placementOfReplica,
    [NAMESPACES]: gatewaysAdmitting,
    [SECRETS]: gatewaysUsing,
    [CONFIG_MAPS]: gatewaysUsing,
    ...guardedGateways,
    ...parentsOfRoute('Gateway'),
    [SERVICES]: both(parentsOfSenders('Gateway'), ingressOfSenders),
    [SERVICE_ENTRIES]: both(parentsOfHostSenders('Gateway'), ingressOfSenders),
    [ISTIO_GATEWAYS]: runningIngress,
    [VIRTUAL_SERVICES]: ingressOfVirtualService,
    [REFERENCE_GRANTS]: both(parentsOfGranted('Gateway'), gatewaysUsing),
  },
})
