import type { NamedMatcher, StringMatcher } from '@ambient-lab/xds'

/** A regular expression of RE2's dialect, compiled. */
export interface Pattern {
  /** Whether it matches the whole text. */
  matches(text: string): boolean
  /** Replaces every match, wherever it stands; `\1` to `\9` are its groups, `\0` all of it. */
  replaceAll(text: string, substitution: string): string
}

/** @throws CodedError for a pattern that cannot be compiled, or is too costly */
export type CompilePattern = (pattern: string) => Pattern

/** A decision about one text. */
export type TextMatch = (text: string) => boolean

/** What the headers of a request can be asked. */
export interface HeaderReader {
  /** @param name lower case. Several values of one name come joined by commas. */
  getJoined(name: string): string | undefined
}

/** @throws CodedError as CompilePattern */
export function compileStringMatcher(matcher: StringMatcher, compilePattern: CompilePattern): TextMatch {
  if ('regex' in matcher) {
    const pattern = compilePattern(matcher.regex)
    return (text) => pattern.matches(text)
  }
  const compiled = compilePlain(matcher)
  if (!matcher.ignoreCase) return compiled
  return (text) => compiled(text.toLowerCase())
}

function compilePlain(matcher: Exclude<StringMatcher, { regex: string }>): TextMatch {
  const fold = (text: string) => (matcher.ignoreCase ? text.toLowerCase() : text)
  if ('exact' in matcher) {
    const exact = fold(matcher.exact)
    return (text) => text === exact
  }
  if ('prefix' in matcher) {
    const prefix = fold(matcher.prefix)
    return (text) => text.startsWith(prefix)
  }
  if ('suffix' in matcher) {
    const suffix = fold(matcher.suffix)
    return (text) => text.endsWith(suffix)
  }
  const part = fold(matcher.contains)
  return (text) => text.includes(part)
}

/** A decision about one named value; undefined stands for one that is not there. */
export type NamedMatch = (value: string | undefined) => boolean

/** @throws CodedError as CompilePattern */
export function compileNamedValue(matcher: NamedMatcher, compilePattern: CompilePattern): NamedMatch {
  const { value, invert = false } = matcher
  if (!value) return (text) => (text !== undefined) !== invert
  const matches = compileStringMatcher(value, compilePattern)
  // As Envoy has it: an absent header satisfies an inverted matcher.
  return (text) => (text !== undefined && matches(text)) !== invert
}

/** Every header matcher holds. @throws CodedError as CompilePattern */
export function compileHeaderMatchers(
  matchers: readonly NamedMatcher[],
  compilePattern: CompilePattern,
): (headers: HeaderReader) => boolean {
  const compiled = matchers.map((matcher) => ({
    name: matcher.name.toLowerCase(),
    matches: compileNamedValue(matcher, compilePattern),
  }))
  return (headers) => {
    for (const { name, matches } of compiled) if (!matches(headers.getJoined(name))) return false
    return true
  }
}
