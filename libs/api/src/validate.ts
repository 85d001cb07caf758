import { childPath } from './json-path.ts'
import type { FieldError, JsonSchema, KindDefinition } from './kind.ts'
import { NESTING_MAX } from './limits.ts'
import { nearest } from './nearest.ts'
import type { Resource } from './resource.ts'
import { validateMetadata } from './validate-metadata.ts'

/** What is wrong with an object. Paths are JSON paths (`spec.ports[0].port`), messages are Kubernetes' words. */
export interface Validation {
  readonly errors: readonly FieldError[]
  /** Fields that the kind does not have: an error under strict field validation, else a warning. */
  readonly unknownFields: readonly FieldError[]
}

/** More findings than this help nobody, and a hostile object must not make the answer large. */
const FINDINGS_MAX = 50

interface Findings {
  readonly errors: FieldError[]
  readonly unknownFields: FieldError[]
}

/**
 * Checks metadata, schema, and, when those hold, the kind's own rules across fields.
 * Structural only: nothing else is looked up, no default is filled in.
 */
export function validateResource(definition: KindDefinition, object: Resource): Validation {
  if (isDeeperThan(NESTING_MAX, object)) {
    return { errors: [{ path: '', message: `Too deep: nested deeper than ${NESTING_MAX}` }], unknownFields: [] }
  }
  const bare = withoutNulls(object)
  const { apiVersion: _, kind: __, metadata: ___, ...rest } = bare
  const findings: Findings = { errors: [...validateMetadata(definition, object.metadata)], unknownFields: [] }
  check(definition.schema, rest, '', findings)
  if (findings.errors.length === 0) findings.errors.push(...(definition.validate?.(bare) ?? []))
  return {
    errors: findings.errors.slice(0, FINDINGS_MAX),
    unknownFields: findings.unknownFields.slice(0, FINDINGS_MAX),
  }
}

/** Everything after this check may recurse. */
function isDeeperThan(levels: number, value: unknown): boolean {
  if (!isObject(value)) return false
  return levels === 0 || Object.values(value).some((field) => isDeeperThan(levels - 1, field))
}

/** So that rules need not know that `null` means absent. The same object where nothing is. */
function withoutNulls<T>(value: T): T {
  return hasNulls(value) ? copyWithoutNulls(value) : value
}

function hasNulls(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some((item) => item !== null && hasNulls(item))
  for (const name in value) {
    const field = (value as Record<string, unknown>)[name]
    if (field === null || field === undefined || hasNulls(field)) return true
  }
  return false
}

function copyWithoutNulls<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copyWithoutNulls) as T
  if (!isObject(value)) return value
  const fields = Object.entries(value).filter(([, field]) => field !== null && field !== undefined)
  return Object.fromEntries(fields.map(([name, field]) => [name, copyWithoutNulls(field)])) as T
}

/** Checks one value against a schema of the OpenAPI v3 kind, from `path` on. */
export function validateSchema(schema: JsonSchema, value: unknown, path = ''): Validation {
  const findings: Findings = { errors: [], unknownFields: [] }
  check(schema, value, path, findings)
  return findings
}

function check(schema: JsonSchema, value: unknown, path: string, findings: Findings): void {
  if (findings.errors.length >= FINDINGS_MAX) return
  if (value === null && schema.nullable) return
  const wrongType = typeError(schema, value)
  if (wrongType) {
    findings.errors.push({ path, message: wrongType })
    return
  }
  if (schema.enum && !schema.enum.includes(value)) {
    findings.errors.push({ path, message: unsupported(value, schema.enum) })
    return
  }
  const before = findings.errors.length
  if (typeof value === 'string') checkString(schema, value, path, findings)
  else if (typeof value === 'number') checkNumber(schema, value, path, findings)
  else if (Array.isArray(value)) checkArray(schema, value, path, findings)
  else if (isObject(value)) checkObject(schema, value, path, findings)
  if (findings.errors.length > before) return
  for (const { message, holds } of schema['x-kubernetes-validations'] ?? []) {
    if (!holds(value)) findings.errors.push({ path, message: `Invalid value: ${message}` })
  }
}

function checkObject(schema: JsonSchema, value: Record<string, unknown>, path: string, findings: Findings): void {
  const { minProperties = 0, maxProperties = Number.POSITIVE_INFINITY } = schema
  const size = Object.keys(value).length
  if (size < minProperties) {
    findings.errors.push({ path, message: `Invalid value: ${size}: must have at least ${minProperties} properties` })
  }
  if (size > maxProperties) {
    findings.errors.push({ path, message: `Too many: ${size}: must have at most ${maxProperties} items` })
    return
  }
  for (const name of schema.required ?? []) {
    if (value[name] === undefined || value[name] === null) {
      findings.errors.push({ path: childPath(path, name), message: 'Required value' })
    }
  }
  for (const [name, field] of Object.entries(value)) {
    // Kubernetes reads an explicit null as absent.
    if (field === undefined || field === null) continue
    const known = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
    if (known) check(known, field, childPath(path, name), findings)
    else if (typeof schema.additionalProperties === 'object') {
      check(schema.additionalProperties, field, childPath(path, name), findings)
    } else if (!schema['x-kubernetes-preserve-unknown-fields'] && schema.additionalProperties !== true) {
      if (schema.properties) findings.unknownFields.push(unknownField(childPath(path, name), name, schema.properties))
    }
  }
}

function checkArray(schema: JsonSchema, values: readonly unknown[], path: string, findings: Findings): void {
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY, items } = schema
  if (values.length < minItems) {
    const message =
      values.length === 0 ? 'Required value' : `Invalid value: ${values.length}: must have at least ${minItems} items`
    findings.errors.push({ path, message })
  }
  if (values.length > maxItems) {
    findings.errors.push({ path, message: `Too many: ${values.length}: must have at most ${maxItems} items` })
    return
  }
  if (items) values.forEach((value, index) => void check(items, value, `${path}[${index}]`, findings))
  checkUnique(schema, values, path, findings)
}

function checkUnique(schema: JsonSchema, values: readonly unknown[], path: string, findings: Findings): void {
  const type = schema['x-kubernetes-list-type']
  if (type !== 'set' && type !== 'map') return
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  const seen = new Set<string>()
  values.forEach((value, index) => {
    const key = isObject(value) && type === 'map' ? Object.fromEntries(keys.map((name) => [name, value[name]])) : value
    const identity = JSON.stringify(key)
    if (seen.has(identity))
      findings.errors.push({ path: `${path}[${index}]`, message: `Duplicate value: ${show(key)}` })
    seen.add(identity)
  })
}

function checkString(schema: JsonSchema, value: string, path: string, findings: Findings): void {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern, format } = schema
  if (value.length < minLength) {
    findings.errors.push({
      path,
      message:
        minLength === 1 ? 'Required value' : `Invalid value: ${show(value)}: must be at least ${minLength} characters`,
    })
  } else if (value.length > maxLength) {
    findings.errors.push({ path, message: `Too long: may not be more than ${maxLength} bytes` })
  } else if (pattern !== undefined && !regExp(pattern).test(value)) {
    findings.errors.push({ path, message: `Invalid value: ${show(value)}: must match ${pattern}` })
  } else if (format === 'date-time' && !/^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(value)) {
    findings.errors.push({ path, message: `Invalid value: ${show(value)}: must be an RFC 3339 time` })
  } else if (format === 'byte' && !/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(value)) {
    findings.errors.push({ path, message: 'Invalid value: must be base64' })
  }
}

function checkNumber({ minimum, maximum }: JsonSchema, value: number, path: string, findings: Findings): void {
  const low = minimum !== undefined && value < minimum
  const high = maximum !== undefined && value > maximum
  if (!low && !high) return
  const range =
    minimum !== undefined && maximum !== undefined
      ? `must be between ${minimum} and ${maximum}, inclusive`
      : `must be ${low ? `greater than or equal to ${minimum}` : `less than or equal to ${maximum}`}`
  findings.errors.push({ path, message: `Invalid value: ${value}: ${range}` })
}

/** The sentence about a value of the wrong type, or undefined when the type fits. */
function typeError(schema: JsonSchema, value: unknown): string | undefined {
  if (schema['x-kubernetes-int-or-string']) {
    return typeof value === 'string' || Number.isInteger(value) ? undefined : wrongType(value, 'integer or string')
  }
  if (schema.type === undefined) return undefined
  const actual = typeOf(value)
  if (actual === schema.type || (schema.type === 'number' && actual === 'integer')) return undefined
  return wrongType(value, schema.type)
}

function wrongType(value: unknown, wanted: string): string {
  const actual = typeOf(value)
  const quoted =
    wanted === 'string' && (actual === 'integer' || actual === 'boolean') ? `: write "${value}" in quotes` : ''
  return `Invalid value: ${show(value)}: must be of type ${wanted}, not ${actual}${quoted}`
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'integer' : typeof value
}

function unsupported(value: unknown, supported: readonly unknown[]): string {
  const guess = typeof value === 'string' ? nearest(value, supported.map(String)) : undefined
  const list = supported.map(show).join(', ')
  return `Unsupported value: ${show(value)}: supported values: ${list}${guess ? ` (did you mean ${show(guess)}?)` : ''}`
}

function unknownField(path: string, name: string, properties: Readonly<Record<string, JsonSchema>>): FieldError {
  const guess = nearest(name, Object.keys(properties))
  return { path, message: `unknown field${guess ? ` (did you mean "${guess}"?)` : ''}` }
}

const VALUE_SHOWN_MAX = 80

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > VALUE_SHOWN_MAX ? `${text.slice(0, VALUE_SHOWN_MAX)}…` : text
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** Patterns come from our own schemas, so there are few. */
const compiled = new Map<string, RegExp>()

function regExp(pattern: string): RegExp {
  const known = compiled.get(pattern)
  if (known) return known
  const made = new RegExp(pattern)
  compiled.set(pattern, made)
  return made
}
