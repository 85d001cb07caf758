import { invalidPolicy } from './errors.ts'
import { isRecord } from './values.ts'

const ACTIONS: readonly unknown[] = ['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']
const PARTS: readonly unknown[] = ['from', 'to', 'when']

/**
 * Whether a policy that came over the wire has the shape of one, down to its matches; their fields and values are looked
 * at when they are compiled.
 * @throws CodedError INVALID_POLICY
 */
export function checkHttpAuthorization(source: unknown): void {
  const fields = isRecord(source) ? source : {}
  const refuse = (reason: string): never => {
    throw invalidPolicy(`${fields.namespace}/${fields.name}`, reason)
  }
  const { name, namespace, action, provider, rules, dryRun } = fields
  if (typeof name !== 'string' || typeof namespace !== 'string') refuse('it has no name')
  if (!ACTIONS.includes(action)) refuse(`action ${JSON.stringify(action)} is not known`)
  if (typeof dryRun !== 'boolean') refuse('dryRun is not true or false')
  if (provider !== undefined && !(isRecord(provider) && typeof provider.name === 'string'))
    refuse('provider has no name')
  const indexes = new Set<unknown>()
  for (const rule of recordsOf(rules, 'rules', refuse)) {
    const { index, clauses } = rule
    const isPlace = typeof index === 'number' && Number.isSafeInteger(index) && index >= 0 && !indexes.has(index)
    if (!isPlace) refuse(`rule ${JSON.stringify(index)} has no place of its own`)
    indexes.add(index)
    for (const { part, matches } of recordsOf(clauses, 'clauses', refuse)) {
      if (!PARTS.includes(part)) refuse(`${JSON.stringify(part)} is no part of a rule`)
      recordsOf(matches, 'matches', refuse)
    }
  }
}

function recordsOf(
  value: unknown,
  what: string,
  refuse: (reason: string) => never,
): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) && value.every(isRecord) ? value : refuse(`${what} are no list of objects`)
}
