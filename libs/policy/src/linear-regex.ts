import { CodedError, errorMessage, LruCache } from '@ambient-lab/std'
import { RE2JS } from 're2js'
import { REGEX_CACHE_MAX, REGEX_PATTERN_MAX, REGEX_PROGRAM_MAX } from './limits.ts'

/** A piece of a substitution: text as it is, or the number of a group. */
type Piece = string | number

/**
 * A regular expression of RE2's dialect, which is Envoy's, Istio's and the Gateway API's: no backreferences, no
 * lookaround, and for that a match takes time in proportion to the text, whatever pattern and text are.
 * @see docs/decisions/0009-linear-time-regex.md
 */
export class LinearRegex {
  readonly pattern: string
  readonly #compiled: RE2JS

  private constructor(pattern: string, compiled: RE2JS) {
    this.pattern = pattern
    this.#compiled = compiled
  }

  /**
   * The same pattern is compiled once while it is in use.
   * @throws CodedError INVALID_REGEX for what is no pattern of the dialect, or is too large
   */
  static compile(pattern: string): LinearRegex {
    let regex = CACHE.get(pattern)
    if (!regex) {
      regex = new LinearRegex(pattern, compileBounded(pattern))
      CACHE.set(pattern, regex)
    }
    return regex
  }

  /** Whether it matches the whole text, as Envoy's `safe_regex` does. */
  matches(text: string): boolean {
    return this.#compiled.testExact(text)
  }

  /** Whether it matches somewhere. */
  finds(text: string): boolean {
    return this.#compiled.test(text)
  }

  /**
   * Every match from left to right, none of them over another, replaced.
   * @param substitution `\1` to `\9` are groups, `\0` is the match, `\\` a backslash: RE2's `GlobalReplace`
   * @throws CodedError INVALID_REGEX when it names a group that the pattern does not have
   */
  replaceAll(text: string, substitution: string): string {
    const pieces = this.parseSubstitution(substitution)
    const matcher = this.#compiled.matcher(text)
    let replaced = ''
    let at = 0
    while (matcher.find()) {
      replaced += text.slice(at, matcher.start())
      for (const piece of pieces) replaced += typeof piece === 'string' ? piece : (matcher.group(piece) ?? '')
      at = matcher.end()
    }
    return replaced + text.slice(at)
  }

  /** For whoever wants to know beforehand. @throws CodedError INVALID_REGEX as `replaceAll` */
  parseSubstitution(substitution: string): readonly Piece[] {
    return substitution.split(/(\\.?)/s).map((part): Piece => {
      if (!part.startsWith('\\')) return part
      if (part === '\\\\') return '\\'
      const group = /^\\\d$/.test(part) ? Number(part[1]) : undefined
      if (group === undefined) throw invalid(substitution, `${part} is neither a group nor a backslash`)
      if (group > this.#compiled.groupCount()) throw invalid(substitution, `the pattern has no group ${group}`)
      return group
    })
  }
}

const CACHE = new LruCache<string, LinearRegex>(REGEX_CACHE_MAX)

function compileBounded(pattern: string): RE2JS {
  if (pattern.length > REGEX_PATTERN_MAX) {
    throw invalid(`${pattern.slice(0, 32)}…`, `longer than ${REGEX_PATTERN_MAX} characters`)
  }
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(pattern)
  } catch (cause) {
    throw invalid(pattern, errorMessage(cause), cause)
  }
  const size = compiled.programSize()
  if (size > REGEX_PROGRAM_MAX) throw invalid(pattern, `${size} steps, more than ${REGEX_PROGRAM_MAX}`)
  return compiled
}

function invalid(pattern: string, reason: string, cause?: unknown): CodedError {
  return new CodedError('INVALID_REGEX', `not a regular expression: ${pattern}: ${reason}`, { cause })
}
