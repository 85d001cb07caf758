import type { FieldError } from './kind.ts'

/** A bare number is the usual mistake: the unit is suggested, never guessed. */
export function invalidDuration(path: string, value: unknown, alternative = ''): FieldError {
  const bare = /^\d+(\.\d+)?$/.test(String(value))
  const hint = bare ? `a unit is missing: ${value}s or ${value}ms` : 'want a duration such as 500ms, 30s, 3m or 1h30m'
  const message = `Invalid value: ${JSON.stringify(value)}: ${hint}${alternative ? `, ${alternative}` : ''}`
  return { path, message }
}

/** `spec.ports[0].port: Required value`: one line of what kubectl prints. */
export function formatFieldError({ path, message }: FieldError): string {
  return path === '' ? message : `${path}: ${message}`
}
