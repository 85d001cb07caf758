import istioGatewayKind, { type IstioGateway } from '../../kinds/istio-gateway.ts'
import podKind from '../../kinds/pod.ts'
import serviceKind from '../../kinds/service.ts'
import { matchesEvery } from '../../selector.ts'
import { labelText } from '../ambient-mesh.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import type { Finding } from '../finding.ts'

/** Istio's own gateway, which every installation brings: not in the files that are analysed. */
const INSTALLED = { labels: { istio: 'ingressgateway' }, ports: [80, 443, 15021, 15443, 31400] } as const

/** Pods that Istio's Gateways mean, and the ports by which a Service leads to them. */
export default defineAnalyzer({
  name: 'gateway-ports',
  codes: ['IST0101', 'IST0162'],
  find: (world) => world.list(istioGatewayKind).flatMap((gateway) => findOf(world, gateway)),
})

function findOf(world: AnalysisWorld, gateway: IstioGateway): Finding[] {
  const selector = gateway.spec?.selector ?? {}
  if (Object.keys(selector).length === 0) return []
  const known = portsOf(world, selector)
  if (!known) return [finding('IST0101', gateway, ['selector', labelText(selector)], 'spec.selector')]
  return (gateway.spec?.servers ?? []).flatMap(({ port }, index) =>
    port === undefined || known.has(port.number)
      ? []
      : [finding('IST0162', gateway, [port.number, labelText(selector)], `spec.servers[${index}].port.number`)],
  )
}

/** Target ports of Services that mean pods with these labels; undefined: there is no such pod. */
function portsOf(world: AnalysisWorld, selector: Readonly<Record<string, string>>): ReadonlySet<number> | undefined {
  const pods = world.list(podKind).filter(({ metadata }) => matchesEvery(selector, metadata.labels))
  const templates = world.workloadsWith(selector)
  if (pods.length === 0 && templates.length === 0) {
    return matchesEvery(selector, INSTALLED.labels) ? new Set(INSTALLED.ports) : undefined
  }
  const labelled = [
    ...pods.map(({ metadata }) => ({ namespace: metadata.namespace ?? '', labels: metadata.labels })),
    ...templates,
  ]
  const services = world.list(serviceKind).filter(({ metadata, spec }) => {
    const wanted = spec?.selector ?? {}
    if (Object.keys(wanted).length === 0) return false
    return labelled.some(
      ({ namespace, labels }) => namespace === (metadata.namespace ?? '') && matchesEvery(wanted, labels),
    )
  })
  return new Set(
    services.flatMap(({ spec }) =>
      (spec?.ports ?? []).map(({ port, targetPort }) =>
        typeof targetPort === 'number' && targetPort > 0 ? targetPort : port,
      ),
    ),
  )
}
