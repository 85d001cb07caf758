import type { HttpMatchRequest, StringMatch } from '@ambient-lab/api'
import type { NamedMatcher, PathMatcher, RouteMatch, StringMatcher } from '@ambient-lab/xds'

/** All fields hold. A prefix is one of plain text here, not of whole segments as in the Gateway API. */
export function istioMatch(match: HttpMatchRequest): RouteMatch {
  const headers = [...named(match.headers, lower), ...named(match.withoutHeaders, lower).map(inverted)]
  const queryParams = named(match.queryParams, (name) => name)
  const path = match.uri && stringMatcher(match.uri)
  return {
    ...(path && { path: withCase(path, match.ignoreUriCase ?? false) }),
    ...field('scheme', match.scheme),
    ...field('method', match.method),
    ...field('authority', match.authority),
    ...(headers.length > 0 && { headers }),
    ...(queryParams.length > 0 && { queryParams }),
  }
}

/** Whether every request matches: what comes after is never reached. */
export function isCatchAll({ path, ...others }: RouteMatch): boolean {
  if (Object.keys(others).length > 0) return false
  if (!path) return true
  return ('prefix' in path && path.prefix === '/') || ('regex' in path && (path.regex === '*' || path.regex === '.*'))
}

function withCase(path: StringMatcher, ignoreCase: boolean): PathMatcher {
  return ignoreCase && !('regex' in path) ? { ...path, ignoreCase } : path
}

function field<K extends 'scheme' | 'method' | 'authority'>(
  name: K,
  match: StringMatch | undefined,
): { readonly [key in K]?: StringMatcher } {
  const matcher = match && stringMatcher(match)
  return (matcher ? { [name]: matcher } : {}) as { readonly [key in K]?: StringMatcher }
}

/** Undefined: it only has to be there. */
export function stringMatcher({ exact, prefix, regex }: StringMatch): StringMatcher | undefined {
  if (exact !== undefined) return { exact }
  if (prefix !== undefined) return { prefix }
  return regex === undefined ? undefined : { regex }
}

function named(
  matches: Readonly<Record<string, StringMatch>> | undefined,
  normalize: (name: string) => string,
): NamedMatcher[] {
  return Object.entries(matches ?? {}).map(([name, match]) => {
    const value = stringMatcher(match)
    return { name: normalize(name), ...(value && { value }) }
  })
}

function lower(name: string): string {
  return name.toLowerCase()
}

function inverted(matcher: NamedMatcher): NamedMatcher {
  return { ...matcher, invert: true }
}
