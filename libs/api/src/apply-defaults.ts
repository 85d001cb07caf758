import type { JsonSchema, KindDefinition } from './kind.ts'
import type { Resource } from './resource.ts'
import { validateSchema } from './validate.ts'

/**
 * What the API server fills in before it stores: the schema's defaults, then the kind's own rules. As Kubernetes does
 * without a word, an explicit null of a known field counts as absent, and a namespace on an object of the whole cluster
 * is dropped. Takes objects of any shape. Pure; the same object comes back when nothing was missing.
 */
export function applyDefaults<R extends Resource>(definition: KindDefinition, object: R): R {
  const filled = fill(definition.schema, dropNamespace(definition, object)) as R
  return definition.withDefaults && hasShape(definition, filled) ? (definition.withDefaults(filled) as R) : filled
}

/** A kind's own rules may rely on its types; an object that breaks them is left for validation to refuse. */
function hasShape(
  { schema }: KindDefinition,
  { apiVersion: _, kind: __, metadata: ___, ...fields }: Resource,
): boolean {
  return validateSchema(schema, fields).errors.length === 0
}

function dropNamespace<R extends Resource>({ scope }: KindDefinition, object: R): R {
  if (scope === 'Namespaced' || object.metadata?.namespace === undefined) return object
  const { namespace: _, ...metadata } = object.metadata
  return { ...object, metadata }
}

function fill(schema: JsonSchema, value: unknown): unknown {
  if (Array.isArray(value)) return fillItems(schema, value)
  if (typeof value !== 'object' || value === null) return value
  if (typeof schema.additionalProperties === 'object') return fillEntries(schema.additionalProperties, value)
  return fillProperties(schema.properties ?? {}, value as Readonly<Record<string, unknown>>)
}

function fillProperties(
  properties: Readonly<Record<string, JsonSchema>>,
  object: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const changes = new Map<string, unknown>()
  for (const [name, schema] of Object.entries(properties)) {
    const current = Object.hasOwn(object, name) ? object[name] : undefined
    if (current === null && schema.nullable) continue
    const start = current ?? schema.default
    const next = start === undefined || start === null ? undefined : fill(schema, start)
    if (next !== current) changes.set(name, next)
  }
  if (changes.size === 0) return object
  const entries = Object.entries({ ...object, ...Object.fromEntries(changes) })
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

function fillItems({ items }: JsonSchema, values: readonly unknown[]): readonly unknown[] {
  if (!items) return values
  const filled = values.map((value) => fill(items, value))
  return filled.some((value, index) => value !== values[index]) ? filled : values
}

function fillEntries(schema: JsonSchema, object: object): object {
  const entries = Object.entries(object).map(([key, value]) => [key, value, fill(schema, value)] as const)
  if (entries.every(([, before, after]) => before === after)) return object
  return Object.fromEntries(entries.map(([key, , after]) => [key, after]))
}
