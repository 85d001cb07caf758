import gatewayKind from '../../kinds/gateway.ts'
import namespaceKind from '../../kinds/namespace.ts'
import nodeKind from '../../kinds/node.ts'
import podKind, { type Pod } from '../../kinds/pod.ts'
import serviceKind, { type Service } from '../../kinds/service.ts'
import { objectKey, type Resource } from '../../resource.ts'
import { matchesEvery } from '../../selector.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

const NETWORK = 'topology.istio.io/network'
const GLOBAL = 'istio.io/global'
/** Classes of what lets in to a network. */
const DOORS = ['istio-east-west', 'istio-remote']

/** Services for all networks, with endpoints in one that nobody lets in to. */
export default defineAnalyzer({
  name: 'network-gateways',
  codes: ['AM0116'],
  *find(world) {
    const own = networkOf(world.get(namespaceKind, undefined, world.settings.rootNamespace))
    const doors = new Set(
      world
        .list(gatewayKind)
        .filter(({ spec }) => DOORS.includes(spec?.gatewayClassName ?? ''))
        .map(networkOf),
    )
    const placed = [...placedOnes(world, own)]
    const networks = new Set([own, ...world.list(nodeKind).map(networkOf), ...placed.map(({ network }) => network)])
    networks.delete('')
    if (networks.size < 2) return
    for (const service of world.list(serviceKind)) {
      if (!isGlobal(world, service)) continue
      const shut = new Set(placed.filter((one) => isOf(service, one)).map(({ network }) => network))
      for (const network of [...shut].sort()) {
        if (network !== '' && !doors.has(network)) {
          yield finding('AM0116', service, [network, objectKey(service.metadata)])
        }
      }
    }
  },
})

interface Placed {
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly network: string
}

/** Pods, and those that Deployments would make where they say the network themselves: nobody knows their nodes yet. */
function* placedOnes(world: AnalysisWorld, own: string): Iterable<Placed> {
  for (const { namespace, labels } of world.workloads) {
    if (labels[NETWORK]) yield { namespace, labels, network: labels[NETWORK] }
  }
  for (const pod of world.list(podKind)) {
    const { namespace = '', labels = {} } = pod.metadata
    yield { namespace, labels, network: networkOf(pod) || nodeNetwork(world, pod) || own }
  }
}

function nodeNetwork(world: AnalysisWorld, { spec }: Pod): string {
  return spec?.nodeName ? networkOf(world.get(nodeKind, undefined, spec.nodeName)) : ''
}

function isGlobal(world: AnalysisWorld, { metadata }: Service): boolean {
  return (metadata.labels?.[GLOBAL] ?? world.namespaceLabels(metadata.namespace ?? '')[GLOBAL]) === 'true'
}

function isOf({ metadata, spec }: Service, { namespace, labels }: Placed): boolean {
  const selector = spec?.selector ?? {}
  return namespace === metadata.namespace && Object.keys(selector).length > 0 && matchesEvery(selector, labels)
}

function networkOf(object: Resource | undefined): string {
  return object?.metadata.labels?.[NETWORK] ?? ''
}
