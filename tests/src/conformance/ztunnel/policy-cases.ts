import type { SpiffeId } from '@ambient-lab/pki'
import {
  type Authorization,
  ConnectionFacts,
  compilePolicy,
  evaluate,
  explain,
  matchesString,
  matchingRule,
  PolicySet,
  type Verdict as PolicyVerdict,
} from '@ambient-lab/policy'
import { allOf, same } from '../expectation.ts'
import type { Verdict } from '../judge.ts'
import type { AuthorizeCase, ConnectionRecord, PolicyMatchesCase, PolicyRecord, StringMatchCase } from './cases.ts'

const SCOPES = { Global: 'GLOBAL', Namespace: 'NAMESPACE', WorkloadSelector: 'WORKLOAD_SELECTOR' } as const

export function judgePolicyMatches({ policy, connection, matches }: PolicyMatchesCase): Verdict {
  return same(matchingRule(compilePolicy(authorizationOf(policy)), factsOf(connection)) !== undefined, matches)
}

export function judgeStringMatch({ matcher, value, matches }: StringMatchCase): Verdict {
  return same(matchesString('presence' in matcher ? { presence: true } : matcher, value), matches)
}

/** The engine that decides and the one that explains are one: both are asked. */
export function judgeAuthorize({ policies, destination, connection, expected }: AuthorizeCase): Verdict {
  const set = PolicySet.empty.with(keepDistinct(policies), [], (_policy, error) => {
    throw error
  })
  const { namespace, authorizationPolicies = [] } = destination
  const applicable = set.applicableTo({ namespace, authorizationPolicies })
  const verdict = evaluate(factsOf(connection), applicable)
  return allOf(same(outcomeOf(verdict), wantedOutcome(expected)), () =>
    same(explain(factsOf(connection), applicable).verdict, verdict),
  )
}

function outcomeOf(verdict: PolicyVerdict): object {
  return verdict.allowed ? { allowed: true } : { allowed: false, reason: verdict.reason }
}

function wantedOutcome({ allowed, policy }: AuthorizeCase['expected']): object {
  if (allowed) return { allowed }
  return { allowed, reason: policy ? `explicitly denied by: ${policy}` : 'allow policies exist, but none allowed' }
}

/** Upstream's set holds policies of one name and different actions; ours has one for each name, as a cluster has. */
function keepDistinct(policies: readonly PolicyRecord[]): Authorization[] {
  return policies.map((policy, index) => {
    const isTwin = policies.findIndex(({ name }) => name === policy.name) !== index
    return authorizationOf(isTwin ? { ...policy, name: `${policy.name}-${index}` } : policy)
  })
}

function authorizationOf(policy: PolicyRecord): Authorization {
  return {
    name: policy.name,
    namespace: policy.namespace,
    scope: SCOPES[policy.scope],
    action: policy.action === 'Allow' ? 'ALLOW' : 'DENY',
    dryRun: policy.dryRun,
    rules: policy.rules.map((clauses) => ({ clauses: clauses.map((matches) => ({ matches })) })),
  }
}

function factsOf({ src, dst, identity }: ConnectionRecord): ConnectionFacts {
  const [sourceIp] = splitAddress(src)
  const [destinationIp, destinationPort] = splitAddress(dst)
  return new ConnectionFacts({
    sourceIp,
    destinationIp,
    destinationPort,
    identity: identity ? identityOf(identity) : undefined,
  })
}

function splitAddress(text: string): [address: string, port: number] {
  const colon = text.lastIndexOf(':')
  return [text.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), Number(text.slice(colon + 1))]
}

/** Not pki's strict parser: the corpus has a service account that no SPIFFE id may have. */
function identityOf(text: string): SpiffeId {
  const parts = /^spiffe:\/\/(.+)\/ns\/(.+)\/sa\/(.+)$/.exec(text)
  if (!parts) throw new Error(`not an identity: ${text}`)
  const [, trustDomain = '', namespace = '', serviceAccount = ''] = parts
  return { trustDomain, namespace, serviceAccount }
}
