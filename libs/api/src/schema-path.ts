import type { JsonSchema } from './kind.ts'

/** What stands below a field: the properties of an object, of a list's items, of a map's values. */
export function childSchemas(schema: JsonSchema): Readonly<Record<string, JsonSchema>> {
  if (schema.properties) return schema.properties
  if (schema.items) return childSchemas(schema.items)
  if (typeof schema.additionalProperties === 'object') return childSchemas(schema.additionalProperties)
  return {}
}

/** Fields that must be given once the one above them is. */
export function requiredOf(schema: JsonSchema): readonly string[] {
  if (schema.items) return requiredOf(schema.items)
  if (typeof schema.additionalProperties === 'object') return requiredOf(schema.additionalProperties)
  return schema.required ?? []
}

/** Walks names as `kubectl explain` does, lists and maps without an index. @returns undefined when a name is unknown */
export function schemaAt(schema: JsonSchema, path: readonly string[]): JsonSchema | undefined {
  return path.reduce<JsonSchema | undefined>((at, name) => {
    const children = at && childSchemas(at)
    return children && Object.hasOwn(children, name) ? children[name] : undefined
  }, schema)
}

/** `string`, `[]Object`, `map[string]string`, `IntOrString`. */
export function typeName(schema: JsonSchema): string {
  if (schema['x-kubernetes-int-or-string']) return 'IntOrString'
  if (schema.items) return `[]${typeName(schema.items)}`
  if (typeof schema.additionalProperties === 'object') return `map[string]${typeName(schema.additionalProperties)}`
  return schema.type === 'object' || schema.properties ? 'Object' : (schema.type ?? 'any')
}
