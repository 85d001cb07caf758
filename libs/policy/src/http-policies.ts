import { type CompiledPolicy, compileHttpPolicy } from './compiled-policy.ts'
import type { HttpAuthorization } from './http-authorization.ts'
import { PolicyTable } from './policy-table.ts'

export type HttpPolicy = CompiledPolicy<HttpAuthorization>

/** The CUSTOM policies that one provider answers for. */
export interface CustomPolicies {
  readonly provider: string
  /** Undefined: the provider can be asked. Else why not, and what the policies match is denied. */
  readonly problem: string | undefined
  readonly table: PolicyTable<HttpPolicy>
}

export interface HttpPoliciesInit {
  /**
   * Several providers at one place each answer for their own policies; else several are none: Istio's
   * PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS.
   * @default false
   */
  readonly multipleProviders?: boolean
}

/** All policies of one place at a waypoint (a service, or the waypoint itself), compiled. Immutable. */
export class HttpPolicies {
  static readonly empty = new HttpPolicies([])

  /** By provider's name, in its order. */
  readonly custom: readonly CustomPolicies[]
  readonly audit: PolicyTable<HttpPolicy>
  readonly deny: PolicyTable<HttpPolicy>
  readonly allow: PolicyTable<HttpPolicy>

  /** @throws CodedError INVALID_POLICY */
  constructor(sources: readonly HttpAuthorization[], init: HttpPoliciesInit = {}) {
    const policies = sources.map((source) => compileHttpPolicy(source)).sort(inEnvoysOrder)
    const of = (action: HttpAuthorization['action']) => policies.filter(({ source }) => source.action === action)
    this.custom = byProvider(of('CUSTOM'), init.multipleProviders ?? false)
    this.audit = new PolicyTable(of('AUDIT'))
    this.deny = new PolicyTable(of('DENY'))
    this.allow = new PolicyTable(of('ALLOW'))
  }
}

/** Envoy keeps policies in a map by name, so that of several that match always the same one is named. */
function inEnvoysOrder(a: HttpPolicy, b: HttpPolicy): number {
  const [first, second] = [policyId(a), policyId(b)]
  return first < second ? -1 : first > second ? 1 : 0
}

/** The name that istiod gives a policy's rules at Envoy, up to the rule. */
export function policyId({ source }: CompiledPolicy): string {
  return `ns[${source.namespace}]-policy[${source.name}]`
}

function byProvider(policies: readonly HttpPolicy[], multipleProviders: boolean): readonly CustomPolicies[] {
  const names = [...new Set(policies.map(({ source }) => source.provider?.name ?? ''))].sort()
  return names.map((provider) => {
    const own = policies.filter(({ source }) => (source.provider?.name ?? '') === provider)
    const problem = own.find(({ source }) => source.provider?.problem)?.source.provider?.problem
    const several =
      names.length > 1 && !multipleProviders ? `one of ${names.length} providers, where one is allowed` : undefined
    return { provider, problem: several ?? problem, table: new PolicyTable(own) }
  })
}
