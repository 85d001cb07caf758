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

interface NamedField {
  readonly kind: FieldKind<unknown>
  readonly negated: boolean
  /** When its turn is: cheap tests come first. */
  readonly rank: number
}

const FIELDS: Readonly<Record<EnforcementPoint, ReadonlyMap<string, NamedField>>> = {
  ztunnel: byName(CONNECTION_FIELDS),
  waypoint: byName(REQUEST_FIELDS),
}

function byName(kinds: readonly FieldKind<unknown>[]): ReadonlyMap<string, NamedField> {
  const fields = kinds.flatMap((kind, rank): [string, NamedField][] => [
    [kind.positive, { kind, negated: false, rank }],
    [kind.negative, { kind, negated: true, rank: rank + 0.5 }],
  ])
  return new Map(fields)
}

/** Of a field that the point knows. */
export function fieldKind(point: EnforcementPoint, field: MatchField): FieldKind<unknown> {
  return FIELDS[point].get(field)!.kind
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
  const found = Object.keys(match).map((name) => {
    return FIELDS[point].get(name) ?? refuse(`${name} is not a field of a match`)
  })
  return found.sort((a, b) => a.rank - b.rank).flatMap((field) => compileField(field, match, refuse))
}

function compileField(
  { kind, negated }: NamedField,
  match: HttpAuthorizationMatch,
  refuse: (reason: string) => never,
): Predicate[] {
  const field: MatchField = negated ? kind.negative : kind.positive
  const values: unknown = match[field] ?? []
  if (!Array.isArray(values)) return refuse(`${field} is not a list`)
  if (values.length === 0) return []
  for (const value of values) if (!kind.isValid(value)) refuse(`${field}: ${textOf(value)} is not valid`)
  const any = kind.compile(values)
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
