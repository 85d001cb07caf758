import type { Service as KubernetesService } from '@ambient-lab/api'
import { ingressUseWaypoint } from '@ambient-lab/api'
import { ADDRESS_TYPE, type Service } from '@ambient-lab/xds'
import { L4_TRAFFIC_POLICIES, NAMESPACES, SERVICES } from '../stored-kinds.ts'
import { appProtocolOf } from './app-protocol.ts'
import { attachedToWaypoint, ofNamespace } from './dependencies.ts'
import { l4PolicyOf, l4Traffic, targetedByL4Policy } from './l4-traffic.ts'
import { serviceLoadBalancing } from './load-balancing.ts'
import { inAllNetworks, withNetworks } from './networks.ts'
import { serviceHostname } from './service-info.ts'
import { serviceScope } from './service-scope.ts'
import { defineTranslation } from './translation.ts'
import type { TranslationView } from './view.ts'
import { serviceWaypoint, waypointFields } from './waypoint-attachment.ts'

/** A Service that has ports of its own; ExternalName is a matter of DNS. */
export default defineTranslation({
  name: 'mesh-service',
  kind: SERVICES,
  typeUrl: ADDRESS_TYPE,
  translate(object, view) {
    const service = meshService(object, view)
    return service ? [{ name: `${service.namespace}/${service.hostname}`, resource: { service } }] : []
  },
  dependencies: withNetworks({
    [NAMESPACES]: ofNamespace,
    [L4_TRAFFIC_POLICIES]: targetedByL4Policy,
    ...attachedToWaypoint(SERVICES),
  }),
})

export function meshService(object: KubernetesService, view: TranslationView): Service | undefined {
  const { metadata, spec } = object
  if (!spec || spec.type === 'ExternalName') return undefined
  const namespace = metadata.namespace ?? ''
  const namespaceObject = view.namespace(namespace)
  const loadBalancing = serviceLoadBalancing(object, namespaceObject)
  const { clusterDomain } = view.mesh
  const network = view.networks.own
  const policy = l4PolicyOf(view, object)
  return {
    name: metadata.name,
    namespace,
    hostname: serviceHostname(metadata.name, namespace, clusterDomain),
    addresses: inAllNetworks(
      virtualAddresses(object).map((address) => ({ network, address })),
      view,
    ),
    ports: (spec.ports ?? [])
      .filter(({ protocol }) => protocol !== 'UDP' && protocol !== 'SCTP')
      .map(({ port, targetPort, name, appProtocol }) => ({
        servicePort: port,
        targetPort: typeof targetPort === 'number' ? targetPort : 0,
        appProtocol: appProtocolOf({ ...(appProtocol && { appProtocol }), ...(name && { name }) }),
        ...(name && { name }),
      })),
    subjectAltNames: [],
    ...waypointFields(serviceWaypoint(view, object)),
    ...(loadBalancing && { loadBalancing }),
    ipFamilies: ipFamilies(spec.ipFamilies),
    canonical: true,
    ingressUseWaypoint: ingressUseWaypoint(metadata.labels, namespaceObject?.metadata.labels) ?? false,
    visibility: 'PUBLIC',
    ...(serviceScope(object, view) === 'GLOBAL' && { scope: 'GLOBAL' }),
    ...(policy && { l4Traffic: l4Traffic(policy) }),
  }
}

/** None for a headless service, and none yet for one whose address was not allocated. */
function virtualAddresses({ spec }: KubernetesService): readonly string[] {
  const addresses = spec?.clusterIPs?.length ? spec.clusterIPs : [spec?.clusterIP ?? '']
  return addresses.filter((address) => address !== '' && address !== 'None')
}

function ipFamilies(families: unknown): Service['ipFamilies'] {
  if (!Array.isArray(families) || families.length === 0) return 'AUTOMATIC'
  if (families.length > 1) return 'DUAL'
  return families[0] === 'IPv6' ? 'IPV6_ONLY' : 'IPV4_ONLY'
}
