import type { TrafficPolicy, XBackendTrafficPolicy } from '@ambient-lab/api'
import { X_BACKEND_TRAFFIC_POLICIES } from '../stored-kinds.ts'
import { oldestFirst } from '../translate/route-index.ts'
import type { TranslationView } from '../translate/view.ts'
import type { EffectiveRule } from './destination-rule.ts'
import type { RouteTarget } from './targets.ts'
import { isIgnored } from './upstream-tls.ts'

/** The Gateway API's. */
const BUDGET_INTERVAL = '10s'
const RETRIES_MIN = 10

/** What DestinationRules say, and below it what XBackendTrafficPolicies do: of these Istio has the retry budget alone. */
export function withBackendTraffic(
  rule: EffectiveRule | undefined,
  target: RouteTarget,
  view: Pick<TranslationView, 'list'>,
): EffectiveRule | undefined {
  const retryBudget = retryBudgetOf(target, view)
  if (!retryBudget) return rule
  return { subsets: rule?.subsets ?? [], trafficPolicy: { retryBudget, ...rule?.trafficPolicy } }
}

/** Of the oldest policy that has one. Services alone can have it. */
function retryBudgetOf(
  { source, namespace, name }: RouteTarget,
  view: Pick<TranslationView, 'list'>,
): TrafficPolicy['retryBudget'] {
  if (source.kind !== 'Service') return undefined
  const isAbout = ({ metadata, spec }: XBackendTrafficPolicy) =>
    !isIgnored({ metadata }) &&
    spec?.targetRefs.some((target) => target.kind === 'Service' && target.group === '' && target.name === name)
  const constraint = view
    .list(X_BACKEND_TRAFFIC_POLICIES, namespace)
    .filter((policy) => isAbout(policy) && policy.spec?.retryConstraint)
    .toSorted(oldestFirst)[0]?.spec?.retryConstraint
  if (!constraint) return undefined
  const { budget, minRetryRate } = constraint
  return {
    ...(budget?.percent !== undefined && { percent: budget.percent }),
    budgetInterval: budget?.interval ?? BUDGET_INTERVAL,
    minRetryConcurrency: minRetryRate?.count ?? RETRIES_MIN,
  }
}
