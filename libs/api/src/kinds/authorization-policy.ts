import { type PolicyAttachment, policySpec } from '../istio-fields.ts'
import { defineKind, type FieldError } from '../kind.ts'
import type { Resource } from '../resource.ts'
import { array, object, oneOf, STATUS, STRINGS, string, withRules } from '../schema.ts'

export interface AuthorizationSource {
  readonly principals?: readonly string[]
  readonly notPrincipals?: readonly string[]
  readonly requestPrincipals?: readonly string[]
  readonly notRequestPrincipals?: readonly string[]
  readonly namespaces?: readonly string[]
  readonly notNamespaces?: readonly string[]
  readonly serviceAccounts?: readonly string[]
  readonly notServiceAccounts?: readonly string[]
  readonly ipBlocks?: readonly string[]
  readonly notIpBlocks?: readonly string[]
  readonly remoteIpBlocks?: readonly string[]
  readonly notRemoteIpBlocks?: readonly string[]
  readonly trustDomains?: readonly string[]
  readonly notTrustDomains?: readonly string[]
}

export interface AuthorizationOperation {
  readonly hosts?: readonly string[]
  readonly notHosts?: readonly string[]
  readonly ports?: readonly string[]
  readonly notPorts?: readonly string[]
  readonly methods?: readonly string[]
  readonly notMethods?: readonly string[]
  readonly paths?: readonly string[]
  readonly notPaths?: readonly string[]
}

export interface AuthorizationCondition {
  readonly key: string
  readonly values?: readonly string[]
  readonly notValues?: readonly string[]
}

/** `from`, `to` and `when` are ANDed; the items of `from` and of `to` are ORed; those of `when` are ANDed. */
export interface AuthorizationPolicyRule {
  readonly from?: readonly { readonly source?: AuthorizationSource }[]
  readonly to?: readonly { readonly operation?: AuthorizationOperation }[]
  readonly when?: readonly AuthorizationCondition[]
}

export interface AuthorizationPolicySpec extends PolicyAttachment {
  /** @default 'ALLOW' */
  readonly action?: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM'
  readonly provider?: { readonly name?: string }
  readonly rules?: readonly AuthorizationPolicyRule[]
}

export type AuthorizationPolicy = Resource<AuthorizationPolicySpec>

const strings = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [name, STRINGS]))

const SERVICE_ACCOUNTS = array(string({ maxLength: 320 }), { maxItems: 16 })

const SOURCE = withRules<AuthorizationSource>(
  object({
    ...strings(
      ...['principals', 'notPrincipals', 'requestPrincipals', 'notRequestPrincipals', 'namespaces', 'notNamespaces'],
      ...['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks', 'trustDomains', 'notTrustDomains'],
    ),
    serviceAccounts: SERVICE_ACCOUNTS,
    notServiceAccounts: SERVICE_ACCOUNTS,
  }),
  {
    'Cannot set serviceAccounts with namespaces or principals': (source) =>
      (source.serviceAccounts ?? source.notServiceAccounts) === undefined ||
      (source.principals ?? source.notPrincipals ?? source.namespaces ?? source.notNamespaces) === undefined,
  },
)

const OPERATION = object(
  strings('hosts', 'notHosts', 'ports', 'notPorts', 'methods', 'notMethods', 'paths', 'notPaths'),
)

const RULE = object({
  from: array(object({ source: SOURCE }), { maxItems: 512 }),
  to: array(object({ operation: OPERATION })),
  when: array(object({ key: string({ minLength: 1 }), values: STRINGS, notValues: STRINGS }, { required: ['key'] })),
})

export default defineKind<AuthorizationPolicy>({
  group: 'security.istio.io',
  version: 'v1',
  otherVersions: ['v1beta1'],
  kind: 'AuthorizationPolicy',
  plural: 'authorizationpolicies',
  shortNames: ['ap', 'pol'],
  categories: ['istio-io', 'security-istio-io'],
  scope: 'Namespaced',
  schema: object({
    spec: policySpec({
      action: oneOf('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
      provider: object({ name: string() }),
      rules: array(RULE, { maxItems: 512 }),
    }),
    status: STATUS,
  }),
  columns: [{ title: 'ACTION', value: ({ spec }) => spec?.action ?? 'ALLOW' }],
  validate: ({ spec = {} }) => conditions(spec.rules ?? []),
})

function conditions(rules: readonly AuthorizationPolicyRule[]): FieldError[] {
  return rules.flatMap(({ when = [] }, rule) =>
    when.flatMap(({ values = [], notValues = [] }, index) =>
      values.length + notValues.length > 0
        ? []
        : [{ path: `spec.rules[${rule}].when[${index}]`, message: 'Required value: values or notValues' }],
    ),
  )
}
