import { HTTP_OPERATION_FIELDS, HTTP_SOURCE_FIELDS, L4_CONDITION_KEYS } from '../../authorization-layers.ts'
import authorizationPolicyKind, {
  type AuthorizationPolicy,
  type AuthorizationPolicyRule,
} from '../../kinds/authorization-policy.ts'
import { targetRefsOf } from '../ambient-mesh.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import type { Finding } from '../finding.ts'

/** Policies without targetRefs, which are for ztunnel, and what of them it cannot see. */
export default defineAnalyzer({
  name: 'ztunnel-authorization',
  codes: ['AM0104', 'AM0105', 'AM0109', 'AM0111', 'AM0115'],
  *find(world) {
    const { rootNamespace } = world.settings
    for (const policy of world.list(authorizationPolicyKind)) {
      if ((policy.spec?.action ?? 'ALLOW') === 'ALLOW' && policy.spec?.rules === undefined) {
        yield finding('AM0111', policy, [reach(policy, rootNamespace)])
      }
      if (targetRefsOf(policy).length === 0) yield* findAtZtunnel(policy)
    }
  },
})

function reach(policy: AuthorizationPolicy, rootNamespace: string): string {
  const [target] = targetRefsOf(policy)
  if (target) return `${target.kind} ${target.name}`
  if (policy.spec?.selector?.matchLabels) return 'the pods that it selects'
  const { namespace = '' } = policy.metadata
  return namespace === rootNamespace ? 'the whole mesh' : `namespace ${namespace}`
}

function* findAtZtunnel(policy: AuthorizationPolicy): Iterable<Finding> {
  const { action = 'ALLOW', rules = [] } = policy.spec ?? {}
  if (action === 'CUSTOM' || action === 'AUDIT') {
    yield finding('AM0109', policy, [action], 'spec.action')
    return
  }
  for (const [index, rule] of rules.entries()) {
    const { http, isDead } = seenByZtunnel(rule)
    if (http.length === 0) continue
    const code = action === 'ALLOW' ? 'AM0105' : isDead ? 'AM0104' : 'AM0115'
    yield finding(code, policy, [http.join(', ')], `spec.rules[${index}]`)
  }
}

interface Seen {
  /** Attributes that need HTTP, sorted. */
  readonly http: readonly string[]
  /** A part of the rule holds nothing else, so that as a DENY it never matches. */
  readonly isDead: boolean
}

function seenByZtunnel({ from = [], to = [], when = [] }: AuthorizationPolicyRule): Seen {
  const sources = from.map(({ source = {} }) =>
    split(source, [...HTTP_SOURCE_FIELDS, 'trustDomains', 'notTrustDomains']),
  )
  const operations = to.map(({ operation = {} }) => split(operation, HTTP_OPERATION_FIELDS))
  const conditions = when.filter(({ key }) => !L4_CONDITION_KEYS.includes(key)).map(({ key }) => key)
  const parts = [sources, operations]
  return {
    http: [...new Set([...parts.flatMap((part) => part.flatMap(({ http }) => http)), ...conditions])].sort(),
    isDead: conditions.length > 0 || parts.some((part) => part.length > 0 && part.every(({ hasOthers }) => !hasOthers)),
  }
}

function split(part: object, httpFields: readonly string[]): { readonly http: string[]; readonly hasOthers: boolean } {
  const set = Object.entries(part).flatMap(([name, values]) =>
    (values as readonly string[] | undefined)?.length ? [name] : [],
  )
  return {
    http: set.filter((name) => httpFields.includes(name)),
    hasOthers: set.some((name) => !httpFields.includes(name)),
  }
}
