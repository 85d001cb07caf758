import type { JsonSchema } from './kind.ts'

type Properties = Readonly<Record<string, JsonSchema>>

interface ObjectOptions {
  readonly required?: readonly string[]
  /** Unknown fields are kept and not reported: the object has more than we name. @default false */
  readonly open?: boolean
  readonly description?: string
  readonly default?: unknown
}

export function object(properties: Properties, options: ObjectOptions = {}): JsonSchema {
  const { open, ...rest } = options
  return { type: 'object', properties, ...rest, ...(open ? { 'x-kubernetes-preserve-unknown-fields': true } : {}) }
}

export function array(items: JsonSchema, more: Partial<JsonSchema> = {}): JsonSchema {
  return { type: 'array', items, ...more }
}

export function map(values: JsonSchema): JsonSchema {
  return { type: 'object', additionalProperties: values }
}

export function string(more: Partial<JsonSchema> = {}): JsonSchema {
  return { type: 'string', ...more }
}

export function oneOf(...values: readonly string[]): JsonSchema {
  return { type: 'string', enum: values }
}

export function integer(more: Partial<JsonSchema> = {}): JsonSchema {
  return { type: 'integer', ...more }
}

export function boolean(more: Partial<JsonSchema> = {}): JsonSchema {
  return { type: 'boolean', ...more }
}

/** Anything at all below this point: fields that a later reader of the kind will tighten. */
export const ANY_OBJECT: JsonSchema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }

export const STRINGS: JsonSchema = array(string())
export const STRING_MAP: JsonSchema = map(string())
export const INT_OR_STRING: JsonSchema = { 'x-kubernetes-int-or-string': true }
export const PORT: JsonSchema = integer({ minimum: 1, maximum: 65_535 })
/** Go's duration text; `validate` of the kind parses it. */
export const DURATION: JsonSchema = string({ format: 'duration' })

export const CONDITIONS: JsonSchema = array(
  object(
    {
      type: string(),
      status: oneOf('True', 'False', 'Unknown'),
      reason: string(),
      message: string(),
      lastTransitionTime: string({ format: 'date-time' }),
      observedGeneration: integer(),
    },
    { required: ['type', 'status'], open: true },
  ),
)

/** A status that our own controllers write: not worth checking twice. */
export const STATUS: JsonSchema = object({ conditions: CONDITIONS }, { open: true })

export const LABEL_SELECTOR: JsonSchema = object({
  matchLabels: STRING_MAP,
  matchExpressions: array(
    object(
      { key: string({ minLength: 1 }), operator: oneOf('In', 'NotIn', 'Exists', 'DoesNotExist'), values: STRINGS },
      { required: ['key', 'operator'] },
    ),
  ),
})

/** Istio's selectors know equality only. */
export const WORKLOAD_SELECTOR: JsonSchema = object({ matchLabels: STRING_MAP })

export const TARGET_REF: JsonSchema = object(
  { group: string(), kind: string({ minLength: 1 }), name: string({ minLength: 1 }), namespace: string() },
  { required: ['kind', 'name'] },
)
