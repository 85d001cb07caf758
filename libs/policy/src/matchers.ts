import { CONNECTION_FIELDS } from './connection-fields.ts'
import type { Facts } from './facts.ts'
import type { Anchor, FactsPredicate, FieldKind, MatchField } from './field-kind.ts'
import type { HttpAuthorizationMatch } from './http-authorization.ts'
import { REQUEST_FIELDS } from './request-fields.ts'

/** One field of a match, compiled. */
export interface Predicate {
  readonly field: MatchField
  /** Of the policy, as a person would write them. */
  readonly values: readonly string[]
  readonly test: FactsPredicate
  /** What the facts have instead, for people. */
  readonly actual: (facts: Facts) => string
  /** By which texts of the facts the predicate can be found; undefined: by none. */
  readonly anchor: Anchor | undefined
}

/** Where a policy is enforced: what it may ask. */
export type EnforcementPoint = 'ztunnel' | 'waypoint'

const FIELDS = { ztunnel: CONNECTION_FIELDS, waypoint: REQUEST_FIELDS }
const NAMES = {
  ztunnel: new Set<string>(CONNECTION_FIELDS.flatMap(({ positive, negative }) => [positive, negative])),
  waypoint: new Set<string>(REQUEST_FIELDS.flatMap(({ positive, negative }) => [positive, negative])),
}

/**
 * Compiles the fields of a match that are not empty.
 * @param refuse told of each field that is none, since leaving it out would widen an ALLOW, and of each value that is
 * no value of its field; does not return
 */
export function compileMatch(
  match: HttpAuthorizationMatch,
  point: EnforcementPoint,
  refuse: (reason: string) => never,
): readonly Predicate[] {
  for (const field of Object.keys(match)) if (!NAMES[point].has(field)) refuse(`${field} is not a field of a match`)
  return FIELDS[point].flatMap((kind) => [
    ...compileField(kind, kind.positive, match, refuse),
    ...compileField(kind, kind.negative, match, refuse),
  ])
}

function compileField(
  kind: FieldKind<unknown>,
  field: MatchField,
  match: HttpAuthorizationMatch,
  refuse: (reason: string) => never,
): Predicate[] {
  const values: unknown = match[field] ?? []
  if (!Array.isArray(values)) return refuse(`${field} is not a list`)
  if (values.length === 0) return []
  for (const value of values) if (!kind.isValid(value)) refuse(`${field}: ${textOf(value)} is not valid`)
  const any = kind.compile(values)
  const negated = field === kind.negative
  return [
    {
      field,
      values: values.map((value) => kind.format(value)),
      test: negated ? (facts) => !any(facts) : any,
      actual: (facts) => kind.actual(facts, values),
      anchor: negated ? undefined : kind.anchor?.(values),
    },
  ]
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
