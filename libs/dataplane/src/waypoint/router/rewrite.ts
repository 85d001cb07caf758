import type { PathMatcher, PathRewrite } from '@ambient-lab/xds'
import type { CompilePattern } from './matchers.ts'

/** Rewrites a path with its query. */
export type RewritePath = (path: string) => string

/**
 * @param matcher the route's own path matcher: what a `prefix` replaces
 * @throws CodedError for a pattern that cannot be compiled
 */
export function compilePathRewrite(
  rewrite: PathRewrite,
  matcher: PathMatcher | undefined,
  compilePattern: CompilePattern,
): RewritePath {
  if ('full' in rewrite) return onPath(() => rewrite.full)
  if ('regex' in rewrite) {
    const pattern = compilePattern(rewrite.regex.pattern)
    return onPath((path) => pattern.replaceAll(path, rewrite.regex.substitution))
  }
  return onPath(compilePrefix(rewrite.prefix, matcher))
}

/** Keeps the query out of it. */
function onPath(rewrite: (path: string) => string): RewritePath {
  return (target) => {
    const question = target.indexOf('?')
    return question < 0 ? rewrite(target) : rewrite(target.slice(0, question)) + target.slice(question)
  }
}

/**
 * What the matcher matched is replaced by `replacement`. By segments the rest begins with a slash or is empty, and the
 * result has neither a doubled slash nor none at all; a plain prefix is replaced letter by letter, as VirtualService
 * does it. An exact match is replaced whole, and so is the path of a route that matches in another way.
 */
function compilePrefix(replacement: string, matcher: PathMatcher | undefined): (path: string) => string {
  if (!matcher) return (path) => replacement + path.replace(/^\//, replacement.endsWith('/') ? '' : '/')
  if ('pathSegments' in matcher) {
    const matchedLength = matcher.pathSegments.replace(/\/$/, '').length
    const base = replacement.replace(/\/$/, '')
    return (path) => {
      const rest = path.slice(matchedLength)
      if (rest === '') return replacement === '' ? '/' : replacement
      return base + rest
    }
  }
  if ('prefix' in matcher) {
    const matchedLength = matcher.prefix.length
    return (path) => withSlash(replacement + path.slice(matchedLength))
  }
  return () => withSlash(replacement)
}

/** A request target is never empty (RFC 9112 §3.2.1). */
function withSlash(path: string): string {
  return path.startsWith('/') ? path : `/${path}`
}
