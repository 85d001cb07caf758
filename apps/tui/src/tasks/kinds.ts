import {
  findKindByName,
  type GroupVersionResource,
  KINDS,
  type KindDefinition,
  kindsInCategory,
  namesOf,
} from '@ambient-lab/api'
import { nearest } from '../cli/nearest.ts'
import { didYouMean, usageError } from '../cli/usage-error.ts'

/** One type, and the names that were asked for; none means all. */
export interface Selection {
  readonly definition: KindDefinition
  readonly names: readonly string[]
}

/** @throws CodedError USAGE with the nearest type */
export function kindNamed(name: string): KindDefinition {
  const definition = findKindByName(name)
  if (definition) return definition
  const suggestion = nearest(name.toLowerCase(), KINDS.flatMap(namesOf))
  throw usageError(`there is no type "${name}"${didYouMean(suggestion)}`, 'ambient help types')
}

/**
 * kubectl's ways to say it: `svc`, `svc/pay`, `svc/pay deploy/curl`, `svc pay ledger`, `svc,deploy`, `all`.
 * @throws CodedError USAGE
 */
export function parseSelections(args: readonly string[]): Selection[] {
  const slashed = args.filter((arg) => arg.includes('/'))
  if (slashed.length > 0 && slashed.length < args.length) {
    throw usageError(
      `"${args.find((arg) => !arg.includes('/'))}" has no type`,
      'TYPE/NAME TYPE/NAME, or TYPE NAME NAME',
    )
  }
  if (slashed.length > 0) return slashed.map(parseTyped)
  const [types = '', ...names] = args
  const definitions = types.split(',').flatMap((type) => categoryOrKind(type))
  if (names.length > 0 && definitions.length > 1) throw usageError('names need one type', 'TYPE/NAME TYPE/NAME')
  return definitions.map((definition) => ({ definition, names }))
}

/** `svc/pay`. @throws CodedError USAGE */
export function parseTyped(text: string): Selection {
  const slash = text.indexOf('/')
  const name = text.slice(slash + 1)
  if (slash < 1 || name === '' || name.includes('/')) throw usageError(`"${text}" is not TYPE/NAME`, 'svc/productpage')
  return { definition: kindNamed(text.slice(0, slash)), names: [name] }
}

/** The arguments of a command that takes exactly one object: `svc/pay` or `svc pay`. */
export function parseOne(args: readonly string[]): { definition: KindDefinition; name: string } {
  const [selection] = parseSelections(args.slice(0, 2))
  const name = selection?.names[0]
  if (!selection || name === undefined) throw usageError(`"${args.join(' ')}" names no object`, 'TYPE/NAME')
  return { definition: selection.definition, name }
}

export function resourceType({ group, version, plural }: KindDefinition): GroupVersionResource {
  return { group, version, resource: plural }
}

function categoryOrKind(name: string): readonly KindDefinition[] {
  const members = kindsInCategory(name)
  return members.length > 0 ? members : [kindNamed(name)]
}
