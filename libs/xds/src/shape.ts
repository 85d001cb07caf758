/**
 * A few checkers for what arrives from the network: each answers the path and the fault of the first thing that is
 * wrong, or undefined. Unknown fields are let through, so that a newer peer may say more.
 */
export type Shape = (value: unknown, path: string) => string | undefined

export const string: Shape = (value, path) => (typeof value === 'string' ? undefined : `${path} is not a string`)
export const boolean: Shape = (value, path) => (typeof value === 'boolean' ? undefined : `${path} is not a boolean`)
export const anything: Shape = (value, path) => (value === undefined ? `${path} is missing` : undefined)

/** JSON has no NaN and no infinity; negative and fractional ones are fine. */
export const number: Shape = (value, path) => (Number.isFinite(value) ? undefined : `${path} is not a number`)

export const port: Shape = (value, path) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535 ? undefined : `${path} is not a port`

export function oneOf(...values: readonly string[]): Shape {
  return (value, path) => (values.includes(value as string) ? undefined : `${path} is none of ${values.join(', ')}`)
}

export function optional(shape: Shape): Shape {
  return (value, path) => (value === undefined ? undefined : shape(value, path))
}

export function list(item: Shape): Shape {
  return (value, path) => {
    if (!Array.isArray(value)) return `${path} is not a list`
    for (const [index, element] of value.entries()) {
      const fault = item(element, `${path}[${index}]`)
      if (fault) return fault
    }
    return undefined
  }
}

export function record(item: Shape): Shape {
  return (value, path) => {
    if (!isObject(value)) return `${path} is not an object`
    for (const [key, element] of Object.entries(value)) {
      const fault = item(element, `${path}.${key}`)
      if (fault) return fault
    }
    return undefined
  }
}

export function object(fields: Readonly<Record<string, Shape>>): Shape {
  const entries = Object.entries(fields)
  return (value, path) => {
    if (!isObject(value)) return `${path} is not an object`
    for (const [key, shape] of entries) {
      const fault = shape(value[key], `${path}.${key}`)
      if (fault) return fault
    }
    return undefined
  }
}

/** Of two shapes the one that `discriminant` is present for. */
export function either(discriminant: string, present: Shape, absent: Shape): Shape {
  return (value, path) =>
    isObject(value) && value[discriminant] !== undefined ? present(value, path) : absent(value, path)
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
