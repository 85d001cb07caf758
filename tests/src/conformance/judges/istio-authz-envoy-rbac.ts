import type { AuthorizationPolicy } from '@ambient-lab/api'
import {
  type ExtensionProvider,
  translateHttpAuthorization,
  translateTcpAuthorization,
} from '@ambient-lab/control-plane'
import { HttpPolicies } from '@ambient-lab/policy'
import { SeededRandom } from '@ambient-lab/std'
import { readDocuments } from '../documents.ts'
import { compare, type Protocol } from '../envoy-rbac/agreement.ts'
import type { FilterConfig } from '../envoy-rbac/config.ts'
import { rbacFilters } from '../envoy-rbac/istiod.ts'
import { RequestGenerator } from '../envoy-rbac/requests.ts'
import { same } from '../expectation.ts'
import { type CorpusCase, defineJudge, PASSED, type Verdict } from '../judge.ts'

export interface RbacCase extends CorpusCase {
  readonly protocol: Protocol
  /** File of policies. */
  readonly input: string
  /** Files of one filter each, in order. */
  readonly expected: readonly string[]
  readonly workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> }
  readonly trustDomain?: string
  readonly trustDomainAliases?: readonly string[]
  readonly meshConfig?: { readonly extensionProviders?: readonly ExtensionProvider[] }
}

/** Requests that both sides are asked about, for each case. */
const REQUESTS = 3000

/**
 * What istiod makes of policies for Envoy. The lab has no Envoy: its engine and an evaluation of the expected RBAC have to
 * agree on every request that is made up.
 */
export default defineJudge<RbacCase>({
  corpus: 'istio-authz-envoy-rbac',
  async judge(item, { folder }) {
    const sources = await readDocuments<AuthorizationPolicy>(folder, item.input)
    const policies = sources.filter((policy) => appliesTo(policy, item.workload))
    const filters = (await Promise.all(item.expected.map((file) => readDocuments<FilterConfig>(folder, file)))).flat()
    const written = judgeGenerator(policies, filters, item)
    if (written.result !== 'passed') return written
    const compiled = compile(policies, item)
    const generator = new RequestGenerator(policies, new SeededRandom(1))
    for (let round = 0; round < REQUESTS; round += 1) {
      const verdict = compare(generator.next(), item.protocol, filters, compiled)
      if (verdict.result !== 'passed') return verdict
    }
    return PASSED
  },
})

function compile(policies: readonly AuthorizationPolicy[], item: RbacCase): HttpPolicies {
  const mesh = {
    trustDomain: item.trustDomain ?? 'cluster.local',
    trustDomainAliases: item.trustDomainAliases ?? [],
    extensionProviders: item.meshConfig?.extensionProviders ?? [],
  }
  const translate = item.protocol === 'tcp' ? translateTcpAuthorization : translateHttpAuthorization
  return new HttpPolicies(policies.flatMap((policy) => translate(policy, mesh).authorization ?? []))
}

/** That our own writer of RBAC, which makes up what the corpus has no example of, writes the corpus's examples. */
function judgeGenerator(
  policies: readonly AuthorizationPolicy[],
  filters: readonly FilterConfig[],
  { protocol, trustDomain = 'cluster.local', trustDomainAliases = [] }: RbacCase,
): Verdict {
  if (policies.some(({ spec }) => spec?.action === 'CUSTOM')) return PASSED
  const written = rbacFilters(policies, {
    trustDomains: [trustDomain, ...trustDomainAliases],
    forTcp: protocol === 'tcp',
  })
  return same(
    written,
    JSON.parse(JSON.stringify(filters, (key, value) => (key === '@type' ? undefined : named(value)))),
  )
}

/** Without the name of an extension, which its type says too. */
function named(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'name' in value && value.name === 'uri-template'
    ? { ...value, name: undefined }
    : value
}

function appliesTo({ metadata, spec }: AuthorizationPolicy, workload: RbacCase['workload']): boolean {
  const labels = Object.entries(spec?.selector?.matchLabels ?? {})
  return metadata.namespace === workload.namespace && labels.every(([name, value]) => workload.labels[name] === value)
}
