import type { JsonSchema, SchemaRule } from './kind.ts'

type Properties = Readonly<Record<string, JsonSchema>>

interface ObjectOptions {
  readonly required?: readonly string[]
  /** Unknown fields are kept and not reported: the object has more than we name. @default false */
  readonly open?: boolean
  readonly description?: string
  readonly default?: unknown
  readonly minProperties?: number
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

export function number(more: Partial<JsonSchema> = {}): JsonSchema {
  return { type: 'number', ...more }
}

/** The schema, and sentences that are said unless what stands beside them holds; `T` is what the schema lets pass. */
export function withRules<T>(schema: JsonSchema, rules: Readonly<Record<string, (value: T) => boolean>>): JsonSchema {
  const added = Object.entries(rules).map(
    ([message, holds]): SchemaRule => ({ message, holds: holds as (value: unknown) => boolean }),
  )
  return { ...schema, 'x-kubernetes-validations': [...(schema['x-kubernetes-validations'] ?? []), ...added] }
}

/** An object in which no more than one of the fields is set. */
export function atMostOneOf(schema: JsonSchema, ...fields: readonly string[]): JsonSchema {
  return withRules<Readonly<Record<string, unknown>>>(schema, {
    [`only one of ${fields.join(', ')} can be set`]: (value) =>
      fields.filter((field) => value[field] !== undefined).length <= 1,
  })
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
