import type { CompiledRule, EvaluationRecorder } from './compiled-policy.ts'
import type { Facts } from './facts.ts'
import { type HttpPolicies, policyId } from './http-policies.ts'

/** What a client that policy refuses is told. */
export const RBAC_DENIED = { status: 403, body: 'RBAC: access denied' } as const

export type HttpVerdict = HttpAllowed | HttpDenied

export interface HttpAllowed {
  readonly allowed: true
  /** `namespace/name` of the policy that allowed it; undefined when none had to. */
  readonly policy: string | undefined
}

export interface HttpDenied {
  readonly allowed: false
  /** The policy that denied it; undefined when allow policies exist and none matched. */
  readonly policy: string | undefined
  /** Envoy's `response_code_details`. */
  readonly details: string
}

/** What the CUSTOM policies want before anything else is decided. */
export type CustomVerdict = CustomQuestion | HttpDenied

export interface CustomQuestion {
  /** Providers, in the order in which they are asked. */
  readonly ask: readonly string[]
  /** Of the first provider: the rule that matched, by Envoy's name. */
  readonly rule: string
}

/** What policies in dry run would have said; a part is undefined where there are none of its action. */
export interface DryRunResult {
  readonly deny: ShadowResult | undefined
  readonly allow: ShadowResult | undefined
}

/** As Envoy's shadow engine leaves it for the tracing tags `istio.authorization.dry_run.*`. */
export interface ShadowResult {
  readonly result: 'allowed' | 'denied'
  /** Envoy's name of the policy that matched; undefined when none did. */
  readonly policy: string | undefined
}

/** What istiod puts before the names of CUSTOM rules. */
const CUSTOM_PREFIX = 'istio-ext-authz'

const ALLOWED_WITHOUT_POLICY: HttpAllowed = { allowed: true, policy: undefined }
const NONE_ALLOWED: HttpDenied = { allowed: false, policy: undefined, details: deniedDetails('none') }

/** Verdicts are values that never change: a rule has one, made when it first decides. */
const verdicts = new WeakMap<CompiledRule, HttpVerdict>()

/**
 * Decides on one request (or, with a connection's facts, on a TCP connection): a matching DENY denies; without ALLOW
 * policies it is allowed; else an ALLOW must match. CUSTOM comes before the token is looked at, see `evaluateCustom`.
 */
export function evaluateRequest(
  facts: Facts,
  { deny, allow }: HttpPolicies,
  recorder?: EvaluationRecorder,
): HttpVerdict {
  const decisive = deny.match(facts, recorder) ?? allow.match(facts, recorder)
  if (decisive) return verdictOf(decisive)
  return allow.isEnforced ? NONE_ALLOWED : ALLOWED_WITHOUT_POLICY
}

/**
 * Whose word a request needs before it goes on to authentication and the other policies.
 * @returns undefined when nobody has to be asked; whom to ask; or a denial, because a policy matched whose provider
 * cannot be asked. A dry run asks too, as in Istio.
 */
export function evaluateCustom(
  facts: Facts,
  policies: HttpPolicies,
  recorder?: EvaluationRecorder,
): CustomVerdict | undefined {
  let question: { readonly ask: string[]; readonly rule: string } | undefined
  for (const { provider, problem, table } of policies.custom) {
    const rule = table.match(facts, recorder) ?? (problem === undefined ? table.dryRunMatch(facts) : undefined)
    if (!rule) continue
    if (problem !== undefined) return badProvider(provider, rule)
    question ??= { ask: [], rule: `${CUSTOM_PREFIX}-${provider}-${ruleId(rule)}` }
    question.ask.push(provider)
  }
  return question
}

/** Whether an AUDIT policy matches: the access log is told, nothing is decided. */
export function isAudited(facts: Facts, { audit }: HttpPolicies, recorder?: EvaluationRecorder): boolean {
  return audit.match(facts, recorder) !== undefined
}

/** Undefined where no policy is in dry run. */
export function evaluateDryRuns(facts: Facts, { deny, allow }: HttpPolicies): DryRunResult | undefined {
  if (!deny.hasDryRuns && !allow.hasDryRuns) return undefined
  const [denial, permission] = [deny.dryRunMatch(facts), allow.dryRunMatch(facts)]
  return {
    deny: deny.hasDryRuns ? { result: denial ? 'denied' : 'allowed', policy: denial && ruleId(denial) } : undefined,
    allow: allow.hasDryRuns
      ? { result: permission ? 'allowed' : 'denied', policy: permission && ruleId(permission) }
      : undefined,
  }
}

/** istiod's name of a rule at Envoy: `ns[foo]-policy[bar]-rule[0]`. */
export function ruleId(rule: CompiledRule): string {
  return `${policyId(rule.policy)}-rule[${rule.index}]`
}

function verdictOf(rule: CompiledRule): HttpVerdict {
  let verdict = verdicts.get(rule)
  if (!verdict) {
    const { key, source } = rule.policy
    verdict =
      source.action === 'ALLOW'
        ? { allowed: true, policy: key }
        : { allowed: false, policy: key, details: deniedDetails(ruleId(rule)) }
    verdicts.set(rule, verdict)
  }
  return verdict
}

function badProvider(provider: string, rule: CompiledRule): HttpDenied {
  const id = `${CUSTOM_PREFIX}-${provider}-${ruleId(rule)}-deny-due-to-bad-CUSTOM-action`
  return { allowed: false, policy: rule.policy.key, details: deniedDetails(id) }
}

function deniedDetails(id: string): string {
  return `rbac_access_denied_matched_policy[${id}]`
}
