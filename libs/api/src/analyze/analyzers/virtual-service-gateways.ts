import gatewayKind from '../../kinds/gateway.ts'
import istioGatewayKind from '../../kinds/istio-gateway.ts'
import virtualServiceKind, { type VirtualService } from '../../kinds/virtual-service.ts'
import { parseNamespacedName } from '../../reference.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import type { Finding } from '../finding.ts'
import { hostsMeet } from '../hosts.ts'

/** Whether the gateways of a VirtualService are there, and take requests for its hosts. */
export default defineAnalyzer({
  name: 'virtual-service-gateways',
  codes: ['IST0101', 'IST0132'],
  *find(world) {
    for (const virtualService of world.list(virtualServiceKind)) {
      const gateways = virtualService.spec?.gateways ?? []
      for (const [index, gateway] of gateways.entries()) {
        if (gateway !== 'mesh') yield* findOf(world, virtualService, gateway, `spec.gateways[${index}]`)
      }
    }
  },
})

function* findOf(world: AnalysisWorld, object: VirtualService, gateway: string, path: string): Iterable<Finding> {
  const { name: own, namespace: ownNamespace = '' } = object.metadata
  const { namespace, name } = parseNamespacedName(gateway, ownNamespace)
  const served = servedHosts(world, namespace, name, ownNamespace)
  if (!served) yield finding('IST0101', object, ['gateway', gateway], path)
  const hosts = object.spec?.hosts ?? []
  // Of several gateways each is for some of the hosts: one that it takes is enough.
  const isServed = hosts.some((host) => (served ?? []).some((one) => hostsMeet(one, host)))
  if (hosts.length > 0 && !isServed) yield finding('IST0132', object, [`[${hosts.join(' ')}]`, own, gateway], path)
}

/** Hosts that a gateway of either API takes from VirtualServices of a namespace; undefined: there is no such gateway. */
function servedHosts(
  world: AnalysisWorld,
  namespace: string,
  name: string,
  viewer: string,
): readonly string[] | undefined {
  const istio = world.get(istioGatewayKind, namespace, name)
  if (istio) {
    return (istio.spec?.servers ?? [])
      .flatMap(({ hosts = [] }) => hosts)
      .map((text) => (text.includes('/') ? text.split('/') : ['*', text]))
      .filter(([scope]) => scope === '*' || (scope === '.' ? namespace : scope) === viewer)
      .map(([, host = '']) => host)
  }
  return world.get(gatewayKind, namespace, name)?.spec?.listeners.map(({ hostname = '*' }) => hostname)
}
