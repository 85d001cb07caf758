import type { PathMatcher, RedirectAction } from '@ambient-lab/xds'
import type { CompilePattern } from './matchers.ts'
import { compilePathRewrite } from './rewrite.ts'

/** Where a request is sent that came with `scheme`, `authority` and `path` (with its query). */
export type LocationOf = (request: {
  readonly scheme: string
  readonly authority: string
  readonly path: string
}) => string

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 }

/**
 * The `location` of a redirect. A port is written unless it is the default of the resulting scheme; a scheme that is
 * given without a port brings its own default, otherwise the request's port stays.
 * @throws CodedError for a pattern that cannot be compiled
 */
export function compileRedirect(
  redirect: RedirectAction,
  matcher: PathMatcher | undefined,
  compilePattern: CompilePattern,
): LocationOf {
  const rewrite = redirect.path && compilePathRewrite(redirect.path, matcher, compilePattern)
  return ({ scheme, authority, path }) => {
    const newScheme = redirect.scheme ?? scheme
    const { host, port } = splitAuthority(authority)
    const newHost = redirect.authority ?? host
    const newPort = redirect.port ?? (redirect.scheme === undefined ? port : undefined)
    const shownPort = newPort === undefined || newPort === DEFAULT_PORTS[newScheme] ? '' : `:${newPort}`
    return `${newScheme}://${newHost}${shownPort}${rewrite ? rewrite(path) : path}`
  }
}

function splitAuthority(authority: string): { host: string; port: number | undefined } {
  const colon = authority.lastIndexOf(':')
  const digits = authority.slice(colon + 1)
  if (colon <= authority.lastIndexOf(']') || !/^\d{1,5}$/.test(digits)) return { host: authority, port: undefined }
  return { host: authority.slice(0, colon), port: Number(digits) }
}
