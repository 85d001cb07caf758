import { CodedError, parseDuration } from '@ambient-lab/std'

/** Readers of the fields of mesh settings: each takes the value and the field's place, and throws MESH_CONFIG_INVALID. */
export type FieldReader = (value: unknown, field: string) => unknown

const DURATION_MS_MAX = 2 ** 31 - 1
const UINT32_MAX = 2 ** 32 - 1

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function object(value: unknown, field: string): Record<string, unknown> {
  if (!isObject(value)) throw invalid(`${field} is no object`)
  return value
}

/** An object whose known fields are read; others are passed over. */
export function fields(readers: Readonly<Record<string, FieldReader>>): FieldReader {
  return (value, field) => {
    const known = Object.entries(object(value, field)).filter(
      ([name, one]) => Object.hasOwn(readers, name) && one !== null,
    )
    return Object.fromEntries(known.map(([name, one]) => [name, readers[name]!(one, `${field}.${name}`)]))
  }
}

export function list(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(`${field} is no list`)
  return value
}

export function string(value: unknown, field: string): string {
  if (typeof value !== 'string') throw invalid(`${field} is no text`)
  return value
}

export function boolean(value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') throw invalid(`${field} is neither true nor false`)
  return value
}

/** Istio takes numbers as numbers and as texts. */
export function uint32(value: unknown, field: string): number {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  if (typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= UINT32_MAX) return number
  throw invalid(`${field} is no whole number`)
}

export function duration(value: unknown, field: string): string {
  const text = string(value, field)
  const durationMs = parseDuration(text)
  if (durationMs === undefined) throw invalid(`${field}: ${JSON.stringify(text)} is no duration, such as 5s`)
  if (durationMs > DURATION_MS_MAX) throw invalid(`${field}: ${text} is longer than 24 days`)
  return text
}

export function texts(value: unknown, field: string): readonly string[] {
  return list(value, field).map((one, index) => string(one, `${field}[${index}]`))
}

export function textMap(value: unknown, field: string): Readonly<Record<string, string>> {
  const entries = Object.entries(object(value, field)).map(
    ([key, one]) => [key, string(one, `${field}.${key}`)] as const,
  )
  return Object.fromEntries(entries)
}

export function oneOf(value: unknown, field: string, values: readonly string[]): string {
  const text = string(value, field)
  if (!values.includes(text)) throw invalid(`${field} is none of ${values.join(', ')}`)
  return text
}

export function invalid(reason: string): CodedError {
  return new CodedError('MESH_CONFIG_INVALID', `the mesh settings are not followed: ${reason}`)
}
