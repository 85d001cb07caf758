import {
  type ApplicablePolicies,
  type CompiledPolicy,
  type ConnectionFacts,
  type EvaluationRecorder,
  evaluate,
  type Verdict,
} from '@ambient-lab/policy'
import type { FieldReview, PolicyReview } from '@ambient-lab/xds'

export interface PoliciesReview {
  readonly verdict: Verdict
  /** In the order in which they were asked; policies behind the one that decided were not. */
  readonly policies: readonly PolicyReview[]
}

/** The decision of the data path, with everything it looked at: `evaluate` itself, run with a recorder. */
export function reviewPolicies(facts: ConnectionFacts, applicable: ApplicablePolicies): PoliciesReview {
  const policies: PolicyReview[] = []
  let fields: FieldReview[] = []
  const recorder: EvaluationRecorder = {
    onPredicate: (_policy, { rule }, predicate, held) => {
      const got = predicate.actual(facts)
      fields.push({ rule, field: YAML_FIELDS[predicate.field], wanted: predicate.values, got, held })
    },
    onEmptyMatch: (_policy, { rule }) => {
      fields.push({ rule, field: '', wanted: ['attributes of requests'], got: 'a connection', held: false })
    },
    onPolicy: (policy, matched) => {
      policies.push({ ...describe(policy), matched, fields })
      fields = []
    },
  }
  const verdict = evaluate(facts, applicable, recorder)
  return { verdict, policies }
}

function describe({ key, source }: CompiledPolicy): Pick<PolicyReview, 'policy' | 'action' | 'dryRun'> {
  return { policy: key, action: source.action, dryRun: source.dryRun }
}

/** The wire's field → what an AuthorizationPolicy calls it. */
const YAML_FIELDS = {
  namespaces: 'from.source.namespaces',
  notNamespaces: 'from.source.notNamespaces',
  principals: 'from.source.principals',
  notPrincipals: 'from.source.notPrincipals',
  serviceAccounts: 'from.source.serviceAccounts',
  notServiceAccounts: 'from.source.notServiceAccounts',
  sourceIps: 'from.source.ipBlocks',
  notSourceIps: 'from.source.notIpBlocks',
  destinationIps: 'when[destination.ip].values',
  notDestinationIps: 'when[destination.ip].notValues',
  destinationPorts: 'to.operation.ports',
  notDestinationPorts: 'to.operation.notPorts',
} as const satisfies Readonly<Record<string, string>>
