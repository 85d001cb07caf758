import { isJsonObject, type JsonObject } from '../body.ts'

/**
 * Kubernetes' FieldsV1, the shape of a configuration without its values: `{"f:spec": {"f:replicas": {}}}`. Items of a
 * list of objects are told apart by all their plain fields, `k:{"name":"web"}`; a list of plain values is one field.
 */
export function toFields(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [`f:${name}`, fieldsOf(field)]))
}

function fieldsOf(value: unknown): JsonObject {
  if (isJsonObject(value)) return toFields(value)
  if (!Array.isArray(value) || !value.every(isJsonObject)) return {}
  return Object.fromEntries(value.map((item) => [`k:${JSON.stringify(plainFields(item))}`, toFields(item)]))
}

function plainFields(item: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(item).filter(([, value]) => typeof value !== 'object' || value === null))
}

/** A configuration with the same fields and items; values other than those that tell items apart are empty. */
export function fromFields(fields: unknown): JsonObject {
  if (!isJsonObject(fields)) return {}
  const entries = Object.entries(fields).filter(([name]) => name.startsWith('f:'))
  return Object.fromEntries(entries.map(([name, below]) => [name.slice(2), skeletonOf(below)]))
}

function skeletonOf(fields: unknown): unknown {
  if (!isJsonObject(fields)) return {}
  const items = Object.keys(fields).filter((name) => name.startsWith('k:'))
  if (items.length === 0) return fromFields(fields)
  return items.map((name) => ({ ...fromFields(fields[name]), ...parseItemKey(name.slice(2)) }))
}

/** Another server may have written it: what does not parse is an item without a key. */
function parseItemKey(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : {}
  } catch {
    return {}
  }
}
