import { type Gateway, objectKey } from '@ambient-lab/api'
import { L7_PROXY_TYPE, type L7Proxy } from '@ambient-lab/xds'
import { builtinClassOf } from '../gateways/gateway-classes.ts'
import { portOf } from '../routing/gateway-chains.ts'
import { gatewayListeners, listenerProtocol } from '../routing/gateway-listeners.ts'
import { histogramBuckets } from '../routing/histogram-buckets.ts'
import { istioGatewayChainsOf } from '../routing/istio-gateway-chains.ts'
import { proxyTelemetry } from '../routing/telemetry.ts'
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
  TELEMETRIES,
  VIRTUAL_SERVICES,
} from '../stored-kinds.ts'
import { gatewaysAdmitting, gatewaysUsing } from './gateway-dependencies.ts'
import {
  ingressOfVirtualService,
  ofGatewayClass,
  parentOfListenerSet,
  placementOfReplica,
  runningIngress,
} from './l7-dependencies.ts'
import { podUid } from './pod-workload.ts'
import { touchGateways } from './security-dependencies.ts'
import { defineTranslation } from './translation.ts'
import type { TranslationView } from './view.ts'

const CLIENT_IDENTITY_ANNOTATION = 'ambient.istio.io/xfcc-include-client-identity'

/** A waypoint, an ingress gateway or a network's gateway, for the nodes that run it. */
export default defineTranslation({
  name: 'l7-proxy',
  kind: GATEWAYS,
  typeUrl: L7_PROXY_TYPE,
  translate(gateway, view) {
    const { metadata, spec } = gateway
    const builtin = builtinClassOf(
      spec?.gatewayClassName ?? '',
      view.get(GATEWAY_CLASSES, spec?.gatewayClassName ?? ''),
    )
    if (!builtin || builtin.proxy === 'remote') return []
    const name = objectKey(metadata)
    const resource: L7Proxy = {
      name: metadata.name,
      namespace: metadata.namespace ?? '',
      kind: builtin.proxy,
      workloads: view.routes
        .replicasOf(name)
        .map((pod) => podUid(pod.metadata.namespace ?? '', pod.metadata.name, view.mesh.clusterId)),
      ports: builtin.proxy === 'gateway' ? listenedPorts(gateway, view) : [],
      ...proxyTelemetry(gateway, builtin.proxy, view),
      // They become its pods', as its infrastructure's do when it has some.
      ...histogramBuckets(spec?.infrastructure?.annotations ?? metadata.annotations),
      ...(namesClients(gateway, view) && { namesClients: true }),
      pathNormalization: view.mesh.pathNormalization.normalization,
    }
    return [{ name, resource, nodes: view.routes.nodesOf(name) }]
  },
  dependencies: {
    [GATEWAY_CLASSES]: ofGatewayClass,
    [PODS]: placementOfReplica,
    [LISTENER_SETS]: parentOfListenerSet,
    [TELEMETRIES]: touchGateways,
    [ISTIO_GATEWAYS]: runningIngress,
    [VIRTUAL_SERVICES]: ingressOfVirtualService,
    [SECRETS]: gatewaysUsing,
    [CONFIG_MAPS]: gatewaysUsing,
    [REFERENCE_GRANTS]: gatewaysUsing,
    [NAMESPACES]: gatewaysAdmitting,
  },
})

/** Of waypoints alone: who writes an ingress gateway's header is its own `forwardClientCertDetails`. */
function namesClients({ metadata, spec }: Gateway, view: TranslationView): boolean {
  const ofClass = view.get(GATEWAY_CLASSES, spec?.gatewayClassName ?? '')?.metadata.annotations
  return (metadata.annotations?.[CLIENT_IDENTITY_ANNOTATION] ?? ofClass?.[CLIENT_IDENTITY_ANNOTATION]) === 'true'
}

/** Each port once: listeners that share one agree on its protocol, or are in conflict; then those of Istio's Gateways. */
function listenedPorts(gateway: Gateway, view: TranslationView): L7Proxy['ports'] {
  const ports = new Map<number, L7Proxy['ports'][number]>()
  for (const { listener, isValid } of gatewayListeners(gateway, view)) {
    const protocol = listenerProtocol(listener)
    if (isValid && protocol && !ports.has(listener.port)) ports.set(listener.port, { port: listener.port, protocol })
  }
  for (const chain of istioGatewayChainsOf(gateway, view)) {
    const port = portOf(chain)
    if (!ports.has(port)) ports.set(port, { port, protocol: chain.tls ? 'TLS' : chain.http ? 'HTTP' : 'TCP' })
  }
  return [...ports.values()].sort((a, b) => a.port - b.port)
}
