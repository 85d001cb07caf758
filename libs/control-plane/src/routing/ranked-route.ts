import type { Resource } from '@ambient-lab/api'
import { objectKey } from '@ambient-lab/api'
import type { Route } from '@ambient-lab/xds'

/** What decides between matches of the Gateway API that overlap. */
export interface MatchRank {
  readonly path: 'exact' | 'prefix' | 'regex'
  readonly pathLength: number
  readonly method: boolean
  readonly headers: number
  readonly queryParams: number
}

/** One match of one rule as a route, with what its place among the others follows from. */
export interface RankedRoute {
  readonly route: Route
  readonly rank: MatchRank
  /** The object it comes from: the older counts first, then the one whose name does. */
  readonly source: Resource
}

const PATH_ORDER = { exact: 0, prefix: 1, regex: 2 } as const

/**
 * The routes of several objects in the order in which they are tried: exact path, longest prefix, pattern; then with a
 * method, more headers, more query parameters; then the oldest object, by name, and in the order of its rules.
 * @see https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule
 */
export function inPrecedence(ranked: readonly RankedRoute[]): Route[] {
  // The sort is stable: rules and matches of one object keep their order.
  return ranked
    .toSorted((a, b) => compareRanks(a.rank, b.rank) || compareSources(a.source, b.source))
    .map(({ route }) => route)
}

function compareRanks(a: MatchRank, b: MatchRank): number {
  return (
    PATH_ORDER[a.path] - PATH_ORDER[b.path] ||
    b.pathLength - a.pathLength ||
    Number(b.method) - Number(a.method) ||
    b.headers - a.headers ||
    b.queryParams - a.queryParams
  )
}

function compareSources(a: Resource, b: Resource): number {
  if (a === b) return 0
  return (
    compareTexts(a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? '') ||
    compareTexts(objectKey(a.metadata), objectKey(b.metadata))
  )
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
