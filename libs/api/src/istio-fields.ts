import { parseDuration } from '@ambient-lab/std'
import { GROUP_NAME, KIND_NAME, OBJECT_NAME } from './gateway-api.ts'
import type { JsonSchema } from './kind.ts'
import { isCoreGroup, type PolicyTargetReference } from './reference.ts'
import { array, integer, map, object, string, withRules } from './schema.ts'

/** What Istio's kinds share. Bounds and rules are those of its CustomResourceDefinitions and of its validating webhook. */

/** What is left of rounding when a number of milliseconds was meant; a nanosecond is 1e-6. */
const ROUNDING_MS = 1e-7

/** Go's duration text, whole milliseconds of it, at least one. */
export const ISTIO_DURATION = withRules<string>(string(), {
  'must be a valid duration greater than 1ms': (text) => (parseDuration(text) ?? 0) >= 1,
  'must be whole milliseconds': (text) => {
    const durationMs = parseDuration(text) ?? 0
    return Math.abs(durationMs - Math.round(durationMs)) < ROUNDING_MS
  },
})

const UINT32_MAX = 4_294_967_295
export const UINT32 = integer({ minimum: 0, maximum: UINT32_MAX })
export const INT32 = integer({ minimum: -2_147_483_648, maximum: 2_147_483_647 })
/** Of things: not negative. */
export const COUNT = integer({ minimum: 0, maximum: 2_147_483_647 })
export const PORT_NUMBER = withRules<number>(UINT32, {
  'port must be between 1-65535': (port) => port >= 1 && port <= 65_535,
})
export const PERCENT = object({ value: { type: 'number', minimum: 0, maximum: 100 } })

/** Share of all, 0 to 100; of fractions, down to 0.0001. */
export interface Percent {
  readonly value?: number
}

export interface WorkloadSelector {
  readonly matchLabels?: Readonly<Record<string, string>>
}

const NO_WILDCARD = { 'wildcard not allowed in label value match': (value: string) => !value.includes('*') }

const LABEL_ENTRIES = withRules<Readonly<Record<string, string>>>(
  { ...map(withRules<string>(string({ maxLength: 63 }), NO_WILDCARD)), maxProperties: 4096 },
  {
    'wildcard not allowed in label key match': (labels) => Object.keys(labels).every((key) => !key.includes('*')),
    'key must not be empty': (labels) => Object.keys(labels).every((key) => key !== ''),
  },
)

/** Istio's selectors know equality only. */
export const WORKLOAD_SELECTOR = object({ matchLabels: LABEL_ENTRIES })

/** The older spelling, of networking's kinds. */
export interface NetworkingWorkloadSelector {
  readonly labels?: Readonly<Record<string, string>>
}

export const NETWORKING_WORKLOAD_SELECTOR = object({
  labels: {
    ...map(
      withRules<string>(string({ maxLength: 63 }), {
        'wildcard is not supported in selector': (value) => !value.includes('*'),
      }),
    ),
    maxProperties: 256,
    ...withRules<Readonly<Record<string, string>>>(
      {},
      { 'key must not be empty': (labels) => Object.keys(labels).every((key) => key !== '') },
    ),
  },
})

const TARGET_KINDS = [
  'Service',
  'ServiceEntry.networking.istio.io',
  'Gateway.gateway.networking.k8s.io',
  'GatewayClass.gateway.networking.k8s.io',
]

const TARGET_REF = withRules<PolicyTargetReference>(
  object(
    { group: GROUP_NAME, kind: KIND_NAME, name: OBJECT_NAME, namespace: string() },
    { required: ['kind', 'name'] },
  ),
  {
    'cross namespace referencing is not currently supported': ({ namespace }) => !namespace,
    [`targetRef must be to one of ${TARGET_KINDS.join(', ')}`]: ({ group = '', kind }) =>
      TARGET_KINDS.includes(isCoreGroup(group) ? kind : `${kind}.${group}`),
  },
)

export const TARGET_REFS = array(TARGET_REF, { maxItems: 16 })

/** What a policy is attached to; at most one of the three, none: the whole namespace. */
export interface PolicyAttachment {
  readonly selector?: WorkloadSelector
  readonly targetRef?: PolicyTargetReference
  readonly targetRefs?: readonly PolicyTargetReference[]
}

/** The spec of a policy: its own fields, and those by which it is attached. */
export function policySpec(own: Readonly<Record<string, JsonSchema>>, required: readonly string[] = []): JsonSchema {
  const fields = {
    selector: WORKLOAD_SELECTOR,
    targetRef: TARGET_REF,
    targetRefs: TARGET_REFS,
  }
  return withRules<PolicyAttachment>(object({ ...fields, ...own }, { required }), {
    'only one of targetRefs or selector can be set': ({ selector, targetRef, targetRefs }) =>
      [selector, targetRef, targetRefs].filter((form) => form !== undefined).length <= 1,
  })
}

/** Which side of a connection a setting is for. */
export type WorkloadMode = 'CLIENT' | 'SERVER' | 'CLIENT_AND_SERVER'
