import type { GrpcRouteMatch, HttpRouteMatch, HttpValueMatch } from '@ambient-lab/api'
import type { NamedMatcher, PathMatcher, RouteMatch } from '@ambient-lab/xds'
import type { MatchRank } from './ranked-route.ts'

export interface RankedMatch {
  readonly match: RouteMatch
  readonly rank: MatchRank
}

export function httpMatch({ path = {}, method, headers = [], queryParams = [] }: HttpRouteMatch): RankedMatch {
  const { type = 'PathPrefix', value = '/' } = path
  const headerMatchers = firstOfEachName(headers, (name) => name.toLowerCase())
  const paramMatchers = firstOfEachName(queryParams, (name) => name)
  return {
    match: {
      path: pathMatcher(type, value),
      ...(method !== undefined && { method: { exact: method } }),
      ...(headerMatchers.length > 0 && { headers: headerMatchers }),
      ...(paramMatchers.length > 0 && { queryParams: paramMatchers }),
    },
    rank: {
      path: type === 'Exact' ? 'exact' : type === 'PathPrefix' ? 'prefix' : 'regex',
      pathLength: value.length,
      method: method !== undefined,
      headers: headerMatchers.length,
      queryParams: paramMatchers.length,
    },
  }
}

/** `/foo/` means the same as `/foo`; every path begins with `/`. */
function pathMatcher(type: 'Exact' | 'PathPrefix' | 'RegularExpression', value: string): PathMatcher {
  if (type === 'Exact') return { exact: value }
  if (type === 'RegularExpression') return { regex: value }
  return { pathSegments: value.replace(/\/+$/, '') || '/' }
}

/** A method of gRPC is a path: `/package.Service/Method`. */
export function grpcMatch({ method = {}, headers = [] }: GrpcRouteMatch): RankedMatch {
  const { type = 'Exact', service, method: name } = method
  const headerMatchers = firstOfEachName(headers, (header) => header.toLowerCase())
  const path = grpcPath(type, service, name)
  return {
    match: { ...(path && { path }), ...(headerMatchers.length > 0 && { headers: headerMatchers }) },
    rank: {
      path: !path ? 'prefix' : 'exact' in path ? 'exact' : 'prefix' in path ? 'prefix' : 'regex',
      pathLength: (service ?? '').length + (name ?? '').length,
      method: false,
      headers: headerMatchers.length,
      queryParams: 0,
    },
  }
}

function grpcPath(
  type: 'Exact' | 'RegularExpression',
  service: string | undefined,
  method: string | undefined,
): PathMatcher | undefined {
  if (!service && !method) return undefined
  if (type === 'RegularExpression') return { regex: `/${service || '.+'}/${method || '.+'}` }
  if (service && method) return { exact: `/${service}/${method}` }
  return service ? { prefix: `/${service}/` } : { regex: `/[^/]+/${method}` }
}

function firstOfEachName(values: readonly HttpValueMatch[], normalize: (name: string) => string): NamedMatcher[] {
  const matchers = new Map<string, NamedMatcher>()
  for (const { name: given, type = 'Exact', value } of values) {
    const name = normalize(given)
    if (matchers.has(name)) continue
    matchers.set(name, { name, value: type === 'Exact' ? { exact: value } : { regex: value } })
  }
  return [...matchers.values()]
}
