import type { AuthorizationPolicy } from '@ambient-lab/api'
import {
  type ExtensionProvider,
  translateHttpAuthorization,
  translateTcpAuthorization,
} from '@ambient-lab/control-plane'
import {
  ConnectionFacts,
  evaluateCustom,
  evaluateDryRuns,
  evaluateRequest,
  explainRequest,
  type Facts,
  HttpPolicies,
  isAudited,
  RequestFacts,
} from '@ambient-lab/policy'
import { SeededRandom } from '@ambient-lab/std'
import { readDocuments } from '../documents.ts'
import type { FilterConfig } from '../envoy-rbac/config.ts'
import { type EnvoyOutcome, type EnvoyRequest, runFilters } from '../envoy-rbac/oracle.ts'
import { type GeneratedRequest, RequestGenerator } from '../envoy-rbac/requests.ts'
import { same } from '../expectation.ts'
import { type CorpusCase, defineJudge, failed, PASSED, type Verdict } from '../judge.ts'

export interface RbacCase extends CorpusCase {
  readonly protocol: 'http' | 'tcp'
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

const DENIED = /^rbac_access_denied_matched_policy\[(.*)\]$/

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

function compare(
  request: GeneratedRequest,
  protocol: RbacCase['protocol'],
  filters: readonly FilterConfig[],
  policies: HttpPolicies,
): Verdict {
  const facts = protocol === 'tcp' ? connectionOf(request) : requestOf(request)
  const wanted = runFilters(filters, envoyRequestOf(request, protocol))
  const got = outcomeOf(facts, policies)
  const verdict = same(got, wanted)
  if (verdict.result === 'failed') return failed(`${JSON.stringify(request)}\n${verdict.reason}`)
  return same(explainRequest(facts, policies).verdict, evaluateRequest(facts, policies))
}

/** Ours, in the oracle's words. */
function outcomeOf(facts: Facts, policies: HttpPolicies): EnvoyOutcome {
  const custom = evaluateCustom(facts, policies)
  const dryRuns = evaluateDryRuns(facts, policies)
  const shadows: Record<string, string | undefined> = {}
  for (const { problem } of policies.custom) {
    if (problem === undefined) shadows.istio_ext_authz_ = custom && 'ask' in custom ? custom.rule : undefined
  }
  const denied = custom && 'details' in custom ? custom : undefined
  if (!denied && dryRuns?.deny) shadows.istio_dry_run_deny_ = dryRuns.deny.policy
  const audited = !denied && isAudited(facts, policies)
  const verdict = denied ?? evaluateRequest(facts, policies)
  if (
    verdict.allowed ||
    verdict.policy === undefined ||
    !policies.deny.policies.some(({ key }) => key === verdict.policy)
  ) {
    if (!denied && dryRuns?.allow) shadows.istio_dry_run_allow_ = dryRuns.allow.policy
  }
  return {
    asked: custom !== undefined && 'ask' in custom,
    audited,
    deniedBy: verdict.allowed ? undefined : DENIED.exec(verdict.details)?.[1],
    shadows,
  }
}

function connectionOf({
  sourceIp,
  destinationIp,
  destinationPort,
  identity,
  serverName,
}: GeneratedRequest): ConnectionFacts {
  return new ConnectionFacts({ sourceIp, destinationIp, destinationPort, identity, serverName })
}

function requestOf(request: GeneratedRequest): RequestFacts {
  const { method, authority, path, headers, remoteIp, jwt, metadata } = request
  return new RequestFacts(connectionOf(request), {
    method,
    authority,
    path,
    remoteIp,
    jwt,
    header: (name) => headers[name],
    metadata: (filter) => metadata[filter] as Readonly<Record<string, unknown>> | undefined,
  })
}

function envoyRequestOf(request: GeneratedRequest, protocol: RbacCase['protocol']): EnvoyRequest {
  const { identity, method, authority, path, headers, jwt, metadata } = request
  const isHttp = protocol === 'http'
  return {
    ...request,
    headers: isHttp ? { ...headers, ':method': method, ':authority': authority, ':path': path } : {},
    uriSan: identity && `spiffe://${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}`,
    directRemoteIp: request.sourceIp,
    // Nobody reads x-forwarded-for of a TCP connection.
    remoteIp: isHttp ? request.remoteIp : request.sourceIp,
    metadata: isHttp ? { ...metadata, ...(jwt && { 'envoy.filters.http.jwt_authn': { payload: jwt } }) } : {},
  }
}

function appliesTo({ metadata, spec }: AuthorizationPolicy, workload: RbacCase['workload']): boolean {
  const labels = Object.entries(spec?.selector?.matchLabels ?? {})
  return metadata.namespace === workload.namespace && labels.every(([name, value]) => workload.labels[name] === value)
}
