import type { StringMatch } from './authorization.ts'
import type { GlobMatch } from './http-authorization.ts'

export type TextMatch = StringMatch | GlobMatch
export type TextPredicate = (text: string) => boolean

/** Whole values of one list that are compared one by one; beyond it a set is faster. */
const EXACT_SCAN_MAX = 8

/** Whether `value` fits; `presence` wants a value that is not empty. */
export function matchesString(match: StringMatch, value: string): boolean {
  if ('exact' in match) return value === match.exact
  if ('prefix' in match) return value.startsWith(match.prefix)
  if ('suffix' in match) return value.endsWith(match.suffix)
  return value !== ''
}

/** Whether any of them fits: what is exact by one look into a set, and the rest one by one. */
export function anyText(matches: readonly TextMatch[]): TextPredicate {
  const exact = matches.flatMap((match) => ('exact' in match ? [match.exact] : []))
  const others = matches.flatMap((match) => ('exact' in match ? [] : [textPredicate(match)]))
  const tests = exact.length > EXACT_SCAN_MAX ? [isIn(new Set(exact)), ...others] : [...exact.map(equals), ...others]
  return anyOf(tests)
}

/** Whether any of the predicates holds. */
export function anyOf<T>(predicates: readonly ((value: T) => boolean)[]): (value: T) => boolean {
  const [only] = predicates
  if (only && predicates.length === 1) return only
  return (value) => {
    for (const holds of predicates) if (holds(value)) return true
    return false
  }
}

export function textPredicate(match: TextMatch): TextPredicate {
  if ('glob' in match) return globPredicate(match.glob)
  return (text) => matchesString(match, text)
}

function equals(wanted: string): TextPredicate {
  return (text) => text === wanted
}

function isIn(wanted: ReadonlySet<string>): TextPredicate {
  return (text) => wanted.has(text)
}

/**
 * The pieces between the stars, one behind the other. Each is looked for from where the one before it ended, and the
 * first place is always the best one, so that nothing is ever tried again.
 */
function globPredicate(glob: string): TextPredicate {
  const [head = '', ...rest] = glob.split('*')
  const tail = rest.pop()
  if (tail === undefined) return equals(head)
  return (text) => {
    if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false
    let at = head.length
    for (const piece of rest) {
      const found = text.indexOf(piece, at)
      if (found < 0) return false
      at = found + piece.length
    }
    return at <= text.length - tail.length
  }
}

/** As an AuthorizationPolicy would write it: `a*`, `*b`, `*`. */
export function formatText(match: TextMatch): string {
  if ('glob' in match) return match.glob
  if ('exact' in match) return match.exact
  if ('prefix' in match) return `${match.prefix}*`
  if ('suffix' in match) return `*${match.suffix}`
  return '*'
}

/** Whether exactly one of the fields is there, and of its type. */
export function isStringMatch(value: unknown): value is StringMatch {
  const [[kind, text] = [], ...more] = Object.entries(value ?? {})
  if (more.length > 0) return false
  if (kind === 'presence') return text === true
  return (kind === 'exact' || kind === 'prefix' || kind === 'suffix') && typeof text === 'string'
}

export function isTextMatch(value: unknown): value is TextMatch {
  if (isStringMatch(value)) return true
  const [[kind, text] = [], ...more] = Object.entries(value ?? {})
  return more.length === 0 && kind === 'glob' && typeof text === 'string'
}
