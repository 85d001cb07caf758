import destinationRuleKind, { type DestinationRule } from '../../kinds/destination-rule.ts'
import nodeKind from '../../kinds/node.ts'
import podKind, { type Pod } from '../../kinds/pod.ts'
import type { Service } from '../../kinds/service.ts'
import { matchesEvery } from '../../selector.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import type { Finding } from '../finding.ts'
import { findHost } from '../hosts.ts'

const TOPOLOGY = ['topology.kubernetes.io/region', 'topology.kubernetes.io/zone', 'topology.istio.io/subzone']

/** Whether somebody has the host of a DestinationRule, and pods the labels of its subsets. */
export default defineAnalyzer({
  name: 'destination-rule-hosts',
  codes: ['IST0173', 'IST0174'],
  *find(world) {
    for (const rule of world.list(destinationRuleKind)) {
      const { host } = rule.spec ?? {}
      if (host === undefined || host.includes('*')) continue
      const known = findHost(world, host, rule.metadata.namespace ?? '')?.object
      if (!known) yield finding('IST0174', rule, [host], 'spec.host')
      else if (known.kind === 'Service') yield* findSubsets(world, rule, known as Service)
    }
  },
})

function* findSubsets(world: AnalysisWorld, rule: DestinationRule, { metadata, spec }: Service): Iterable<Finding> {
  const selector = spec?.selector ?? {}
  if (Object.keys(selector).length === 0) return
  const namespace = metadata.namespace ?? ''
  const pods = world.list(podKind, namespace).filter((pod) => matchesEvery(selector, pod.metadata.labels))
  const labels = [
    ...pods.map((pod) => ({ ...topologyOf(world, pod), ...pod.metadata.labels })),
    // A template says nothing of nodes.
    ...world.workloadsWith(selector, namespace).map((workload) => workload.labels),
  ]
  for (const [index, subset] of (rule.spec?.subsets ?? []).entries()) {
    const wanted = subset.labels ?? {}
    const isMet = labels.some((had) => matchesEvery(wanted, had)) && !TOPOLOGY.some((key) => wanted[key] === '')
    if (!isMet) yield finding('IST0173', rule, [subset.name], `spec.subsets[${index}]`)
  }
}

/** Labels that a pod has from its node. */
function topologyOf(world: AnalysisWorld, { spec }: Pod): Readonly<Record<string, string>> {
  const node = spec?.nodeName === undefined ? undefined : world.get(nodeKind, undefined, spec.nodeName)
  return Object.fromEntries(Object.entries(node?.metadata.labels ?? {}).filter(([key]) => TOPOLOGY.includes(key)))
}
