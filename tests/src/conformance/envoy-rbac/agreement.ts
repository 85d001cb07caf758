import {
  ConnectionFacts,
  evaluateCustom,
  evaluateDryRuns,
  evaluateRequest,
  explainRequest,
  type Facts,
  type HttpPolicies,
  isAudited,
  RequestFacts,
} from '@ambient-lab/policy'
import { same } from '../expectation.ts'
import { failed, type Verdict } from '../judge.ts'
import type { FilterConfig } from './config.ts'
import { type EnvoyOutcome, type EnvoyRequest, runFilters } from './oracle.ts'
import type { GeneratedRequest } from './requests.ts'

export type Protocol = 'http' | 'tcp'

const DENIED = /^rbac_access_denied_matched_policy\[(.*)\]$/

/** Whether Envoy's filters and our policies say the same of one request: verdict, name of the policy, audit, dry runs. */
export function compare(
  request: GeneratedRequest,
  protocol: Protocol,
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

function envoyRequestOf(request: GeneratedRequest, protocol: Protocol): EnvoyRequest {
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
