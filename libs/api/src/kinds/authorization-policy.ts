import { defineKind, type FieldError } from '../kind.ts'
import type { PolicyTargetReference } from '../reference.ts'
import type { Resource } from '../resource.ts'
import { array, object, oneOf, STATUS, STRINGS, string, TARGET_REF, WORKLOAD_SELECTOR } from '../schema.ts'

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

export interface AuthorizationPolicySpec {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> }
  readonly targetRef?: PolicyTargetReference
  readonly targetRefs?: readonly PolicyTargetReference[]
  /** @default 'ALLOW' */
  readonly action?: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM'
  readonly provider?: { readonly name?: string }
  readonly rules?: readonly AuthorizationPolicyRule[]
}

export type AuthorizationPolicy = Resource<AuthorizationPolicySpec>

const strings = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [name, STRINGS]))

const SOURCE = object(
  strings(
    ...['principals', 'notPrincipals', 'requestPrincipals', 'notRequestPrincipals', 'namespaces', 'notNamespaces'],
    ...['serviceAccounts', 'notServiceAccounts', 'ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks'],
  ),
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
    spec: object({
      selector: WORKLOAD_SELECTOR,
      targetRef: TARGET_REF,
      targetRefs: array(TARGET_REF, { maxItems: 16 }),
      action: oneOf('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
      provider: object({ name: string() }),
      rules: array(RULE, { maxItems: 512 }),
    }),
    status: STATUS,
  }),
  columns: [{ title: 'ACTION', value: ({ spec }) => spec?.action ?? 'ALLOW' }],
  validate: ({ spec = {} }) => [...attachment(spec), ...conditions(spec.rules ?? [])],
})

function attachment(spec: AuthorizationPolicySpec): FieldError[] {
  const forms = [spec.selector, spec.targetRef, spec.targetRefs?.length ? spec.targetRefs : undefined]
  if (forms.filter((form) => form !== undefined).length < 2) return []
  return [{ path: 'spec', message: 'Invalid value: only one of targetRefs or selector can be set' }]
}

function conditions(rules: readonly AuthorizationPolicyRule[]): FieldError[] {
  return rules.flatMap(({ when = [] }, rule) =>
    when.flatMap(({ values = [], notValues = [] }, index) =>
      values.length + notValues.length > 0
        ? []
        : [{ path: `spec.rules[${rule}].when[${index}]`, message: 'Required value: values or notValues' }],
    ),
  )
}
