import type { DestinationRule, TrafficPolicy } from '@ambient-lab/api'
import type { TranslationView } from '../translate/view.ts'
import { isExportedTo } from './visibility.ts'

/** What holds for one port of a host. */
export type PortPolicy = Omit<TrafficPolicy, 'portLevelSettings'>

/** A DestinationRule, or several of one namespace and host as if they were one. */
export interface EffectiveRule {
  readonly trafficPolicy: TrafficPolicy | undefined
  readonly subsets: NonNullable<NonNullable<DestinationRule['spec']>['subsets']>
}

/**
 * What DestinationRules say about a host: those of the service's own namespace, else those of the root namespace. The
 * exact host counts before a wildcard; rules of one host are put together, the oldest's traffic policy first. Rules that
 * name their clients by a workloadSelector are passed over, as at Istio's waypoints: one cluster serves all clients.
 */
export function destinationRuleOf(
  view: TranslationView,
  hostname: string,
  namespace: string,
): EffectiveRule | undefined {
  const all = view.routes
    .destinationRulesOf(hostname)
    .filter((rule) => !rule.spec?.workloadSelector && isExportedTo(rule, namespace))
  for (const home of [namespace, view.mesh.rootNamespace]) {
    const found = all.filter(({ metadata }) => metadata.namespace === home)
    const hosts = found.map((rule) => view.routes.hostOf(rule)).sort((a, b) => b.length - a.length)
    const best = hosts.includes(hostname) ? hostname : hosts[0]
    const rules = found.filter((rule) => view.routes.hostOf(rule) === best)
    if (rules.length > 0) return merged(rules)
  }
  return undefined
}

function merged(rules: readonly DestinationRule[]): EffectiveRule {
  const subsets = new Map<string, EffectiveRule['subsets'][number]>()
  for (const { spec } of rules) {
    for (const subset of spec?.subsets ?? []) if (!subsets.has(subset.name)) subsets.set(subset.name, subset)
  }
  const trafficPolicy = rules.find(({ spec }) => spec?.trafficPolicy)?.spec?.trafficPolicy
  return { trafficPolicy, subsets: [...subsets.values()] }
}

/**
 * The traffic policy of one port. Settings of a port replace what stands beside them. What the subset says counts before
 * what the rule says, setting by setting; its settings of the port leave of the rule only what a port cannot have.
 */
export function trafficPolicyOf(
  rule: EffectiveRule | undefined,
  subset: EffectiveRule['subsets'][number] | undefined,
  port: number,
): PortPolicy {
  const whole = policyAt(rule?.trafficPolicy, port)
  const { policy, isOfPort } = policyAt(subset?.trafficPolicy, port)
  if (!isOfPort) return { ...whole.policy, ...policy }
  const { connectionPool: _c, loadBalancer: _l, outlierDetection: _o, tls: _t, ...others } = whole.policy
  return { ...others, ...policy }
}

function policyAt(
  from: TrafficPolicy | undefined,
  port: number,
): { readonly policy: PortPolicy; readonly isOfPort: boolean } {
  const { portLevelSettings = [], ...policy } = from ?? {}
  const ofPort = portLevelSettings.find((settings) => settings.port?.number === port)
  if (!ofPort) return { policy, isOfPort: false }
  const { port: _, ...settings } = ofPort
  return { policy: settings, isOfPort: true }
}
