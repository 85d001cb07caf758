import { getCondition } from './condition.ts'
import type { Resource } from './resource.ts'

/** A column that shows a list of a spec as kubectl prints JSON paths: `["a","b"]`, empty when absent. */
export function listCell(spec: unknown, field: string): string {
  const value = fieldOf(spec, field)
  return Array.isArray(value) ? JSON.stringify(value) : ''
}

export function textCell(spec: unknown, field: string): string {
  const value = fieldOf(spec, field)
  return value === undefined || value === null ? '' : String(value)
}

/** `True`, `False`, `Unknown`, or empty while nobody has judged. */
export function conditionCell(object: Resource, type: string): string {
  return getCondition(object, type)?.status ?? ''
}

function fieldOf(spec: unknown, field: string): unknown {
  return typeof spec === 'object' && spec !== null ? (spec as Record<string, unknown>)[field] : undefined
}

/** `spiffe://cluster.local/ns/default/sa/curl` → `default/sa/curl`; an id of another shape whole; `-` for none. */
export function shortIdentity(identity: string | undefined): string {
  if (!identity) return '-'
  const match = /\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(identity)
  return match ? `${match[1]}/sa/${match[2]}` : identity
}
