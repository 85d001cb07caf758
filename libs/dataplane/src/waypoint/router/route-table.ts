import type { PathMatcher, Route, RouteMatch, VirtualHost } from '@ambient-lab/xds'
import { DomainTable, hostOf } from './domains.ts'
import {
  type CompilePattern,
  compileHeaderMatchers,
  compileNamedValue,
  compileStringMatcher,
  type HeaderReader,
  type TextMatch,
} from './matchers.ts'
import { queryParameter } from './query.ts'

/** What of a request decides about its route. */
export interface RoutedRequest {
  readonly method: string
  readonly scheme: string
  readonly authority: string
  /** With its query. */
  readonly path: string
  readonly headers: HeaderReader
}

/** A virtual host whose matchers are compiled; `value` is what the caller made of each route. */
interface CompiledVirtualHost<T> {
  readonly name: string
  readonly routes: readonly { readonly matches: RequestMatch; readonly value: T }[]
}

type RequestMatch = (request: RoutedRequest, path: string, query: string) => boolean

export interface RouteTableInit<T> {
  readonly virtualHosts: readonly VirtualHost[]
  readonly compilePattern: CompilePattern
  /** Made once per route, and what `find` answers. */
  readonly prepare: (route: Route, virtualHost: VirtualHost) => T
}

/** Finds what a request leads to. */
export interface RouteFinder<T> {
  find(request: RoutedRequest): T | undefined
}

/** Finds the route of a request: its virtual host by domain, then the first route whose every matcher holds. */
export class RouteTable<T> implements RouteFinder<T> {
  readonly #domains: DomainTable<CompiledVirtualHost<T>>
  /** Of the request before: most have the same. */
  #lastAuthority: string | undefined
  #lastHost: CompiledVirtualHost<T> | undefined

  /** @throws CodedError for a pattern that cannot be compiled */
  constructor({ virtualHosts, compilePattern, prepare }: RouteTableInit<T>) {
    const entries = virtualHosts.flatMap((virtualHost) => {
      const compiled: CompiledVirtualHost<T> = {
        name: virtualHost.name,
        routes: virtualHost.routes.map((route) => ({
          matches: compileMatch(route.match, compilePattern),
          value: prepare(route, virtualHost),
        })),
      }
      return virtualHost.domains.map((domain) => [domain, compiled] as const)
    })
    this.#domains = new DomainTable(entries)
  }

  find(request: RoutedRequest): T | undefined {
    const virtualHost = this.#hostOf(request.authority)
    if (!virtualHost) return undefined
    const question = request.path.indexOf('?')
    const path = question < 0 ? request.path : request.path.slice(0, question)
    const query = question < 0 ? '' : request.path.slice(question + 1)
    for (const { matches, value } of virtualHost.routes) if (matches(request, path, query)) return value
    return undefined
  }

  #hostOf(authority: string): CompiledVirtualHost<T> | undefined {
    if (authority !== this.#lastAuthority) {
      this.#lastHost = this.#domains.find(hostOf(authority))
      this.#lastAuthority = authority
    }
    return this.#lastHost
  }
}

function compileMatch(match: RouteMatch, compilePattern: CompilePattern): RequestMatch {
  const checks: RequestMatch[] = []
  const { path, method, scheme, authority, headers, queryParams, grpc } = match
  if (path) checks.push(compilePath(path, compilePattern))
  if (method) {
    const matches = compileStringMatcher(method, compilePattern)
    checks.push((request) => matches(request.method))
  }
  if (scheme) {
    const matches = compileStringMatcher(scheme, compilePattern)
    checks.push((request) => matches(request.scheme))
  }
  if (authority) {
    const matches = compileStringMatcher(authority, compilePattern)
    checks.push((request) => matches(request.authority))
  }
  if (headers && headers.length > 0) {
    const matches = compileHeaderMatchers(headers, compilePattern)
    checks.push((request) => matches(request.headers))
  }
  for (const matcher of queryParams ?? []) {
    const matches = compileNamedValue(matcher, compilePattern)
    checks.push((_request, _path, query) => matches(queryParameter(query, matcher.name)))
  }
  if (grpc) checks.push(({ headers }) => isGrpc(headers.getJoined('content-type')))
  return allOf(checks)
}

/** `application/grpc`, `application/grpc+proto`, with parameters or without; not gRPC-Web. */
export function isGrpc(contentType: string | undefined): boolean {
  if (contentType === undefined || !contentType.startsWith('application/grpc')) return false
  const next = contentType.charAt('application/grpc'.length)
  return next === '' || next === '+' || next === ';'
}

/** Most routes have none or one matcher: those are not worth a loop. */
function allOf(checks: readonly RequestMatch[]): RequestMatch {
  if (checks.length === 0) return () => true
  if (checks.length === 1) return checks[0]!
  return (request, path, query) => {
    for (const check of checks) if (!check(request, path, query)) return false
    return true
  }
}

function compilePath(matcher: PathMatcher, compilePattern: CompilePattern): RequestMatch {
  const matches = 'pathSegments' in matcher ? compileSegments(matcher) : compileStringMatcher(matcher, compilePattern)
  return (_request, path) => matches(path)
}

/** `/foo` and `/foo/` match `/foo`, `/foo/` and `/foo/bar`, never `/foobar`. */
function compileSegments(matcher: Extract<PathMatcher, { pathSegments: string }>): TextMatch {
  const trimmed = matcher.pathSegments.replace(/\/$/, '')
  const prefix = matcher.ignoreCase ? trimmed.toLowerCase() : trimmed
  if (prefix === '') return () => true
  const matches: TextMatch = (path) =>
    path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === 47)
  return matcher.ignoreCase ? (path) => matches(path.toLowerCase()) : matches
}
