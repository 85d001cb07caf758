import { type PolicyAttachment, policySpec } from '../istio-fields.ts'
import { isIpOrCidr, isPortText } from '../istio-names.ts'
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

const WORDS = array(string({ minLength: 1 }))
const strings = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [name, WORDS]))

const BLOCKS = array(
  withRules<string>(string({ minLength: 1 }), { 'must be an IP address or a CIDR range': isIpOrCidr }),
)
const PORTS = array(withRules<string>(string({ minLength: 1 }), { 'must be a port, 1 to 65535': isPortText }))

const SERVICE_ACCOUNTS = array(string({ minLength: 1, maxLength: 320 }), { maxItems: 16 })

const SOURCE = withRules<AuthorizationSource>(
  object(
    {
      ...strings(
        ...['principals', 'notPrincipals', 'requestPrincipals', 'notRequestPrincipals', 'namespaces', 'notNamespaces'],
        ...['trustDomains', 'notTrustDomains'],
      ),
      ipBlocks: BLOCKS,
      notIpBlocks: BLOCKS,
      remoteIpBlocks: BLOCKS,
      notRemoteIpBlocks: BLOCKS,
      serviceAccounts: SERVICE_ACCOUNTS,
      notServiceAccounts: SERVICE_ACCOUNTS,
    },
    { minProperties: 1 },
  ),
  {
    'Cannot set serviceAccounts with namespaces or principals': (source) =>
      (source.serviceAccounts ?? source.notServiceAccounts) === undefined ||
      (source.principals ?? source.notPrincipals ?? source.namespaces ?? source.notNamespaces) === undefined,
  },
)

const OPERATION = object(
  {
    ...strings('hosts', 'notHosts', 'methods', 'notMethods', 'paths', 'notPaths'),
    ports: PORTS,
    notPorts: PORTS,
  },
  { minProperties: 1 },
)

/** What `when` may look at; those with brackets name a header or a claim in them. */
const ATTRIBUTES = [
  ...[
    'source.ip',
    'remote.ip',
    'source.namespace',
    'source.serviceAccount',
    'source.trustDomain',
    'source.principal',
    'destination.ip',
  ],
  ...['destination.port', 'connection.sni', 'request.auth.principal', 'request.auth.audiences'],
  'request.auth.presenter',
]
const NAMED_ATTRIBUTE = /^(request\.headers|request\.auth\.claims|experimental\.envoy\.filters\..+)\[.+\]$/

const VALUES_BY_ATTRIBUTE: Readonly<Record<string, (value: string) => boolean>> = {
  'source.ip': isIpOrCidr,
  'remote.ip': isIpOrCidr,
  'destination.ip': isIpOrCidr,
  'destination.port': isPortText,
}

const CONDITION = withRules<AuthorizationCondition>(
  object({ key: string({ minLength: 1 }), values: STRINGS, notValues: STRINGS }, { required: ['key'] }),
  {
    'unknown attribute': ({ key }) => ATTRIBUTES.includes(key) || NAMED_ATTRIBUTE.test(key),
    'the values must be addresses or ports, as the attribute is': ({ key, values = [], notValues = [] }) =>
      [...values, ...notValues].every(VALUES_BY_ATTRIBUTE[key] ?? (() => true)),
  },
)

const RULE = object({
  from: array(object({ source: SOURCE }, { required: ['source'] }), { minItems: 1, maxItems: 512 }),
  to: array(object({ operation: OPERATION }, { required: ['operation'] }), { minItems: 1 }),
  when: array(CONDITION),
})

const DRY_RUN = 'istio.io/dry-run'

function actionErrors({ metadata, spec = {} }: AuthorizationPolicy): FieldError[] {
  const { action = 'ALLOW', provider, rules } = spec
  const dryRun = metadata.annotations?.[DRY_RUN]
  const rulesOfAction: readonly (readonly [path: string, broken: boolean, message: string])[] = [
    ['spec.provider', action === 'CUSTOM' && !provider?.name, 'Required value: the action is CUSTOM'],
    ['spec.provider', action !== 'CUSTOM' && provider !== undefined, 'Forbidden: only with the action CUSTOM'],
    ['spec.rules', action === 'DENY' && rules === undefined, 'Required value: a DENY without rules denies nothing'],
    [
      `metadata.annotations[${DRY_RUN}]`,
      dryRun !== undefined && (!/^(true|false)$/i.test(dryRun) || (action !== 'ALLOW' && action !== 'DENY')),
      'Invalid value: true or false, with the action ALLOW or DENY',
    ],
  ]
  return rulesOfAction.flatMap(([path, broken, message]) => (broken ? [{ path, message }] : []))
}

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
  validate: (policy) => [...actionErrors(policy), ...conditions(policy.spec?.rules ?? [])],
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
