import type { PolicyExplanation, PolicyStep } from '@ambient-lab/policy'
import type { FieldReview, PolicyReview } from '@ambient-lab/xds'

/** An explanation in the words of the YAML. */
export function policyReview({ policy, action, dryRun, matched, steps }: PolicyExplanation): PolicyReview {
  return { policy, action, dryRun, matched, fields: steps.map(fieldReview) }
}

function fieldReview({ rule, part, field, wanted, got, held }: PolicyStep): FieldReview {
  if (field === undefined) return { rule, field: '', wanted: ['attributes of requests'], got: 'a connection', held }
  return { rule, field: L4_FIELDS[field] ?? PARTS[part ?? 'when'] + field, wanted, got, held }
}

const PARTS = { from: 'from.source.', to: 'to.operation.', when: 'when.' } as const

/** An L4 policy does not say which part of the rule a field came from; each comes from one only. */
const L4_FIELDS: Readonly<Record<string, string>> = {
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
}
