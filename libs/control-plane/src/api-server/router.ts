export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection'

/** What a path and method ask of a resource type. Says nothing about whether the type exists. */
export interface ResourceRoute {
  readonly type: 'resource'
  readonly verb: Verb
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  /** Plural. */
  readonly resource: string
  readonly namespace: string | undefined
  readonly name: string | undefined
  /** `status`, `scale`, `log`. */
  readonly subresource: string | undefined
}

export type Route =
  | ResourceRoute
  /** `/api` and `/apis`: which groups and versions there are. */
  | { readonly type: 'groups'; readonly root: 'api' | 'apis' }
  /** `/apis/apps` */
  | { readonly type: 'group'; readonly group: string }
  /** `/api/v1`, `/apis/apps/v1`: which resources a version has. */
  | { readonly type: 'resources'; readonly group: string; readonly version: string }
  /** Anything else: health, version, OpenAPI, and what others plug in. */
  | { readonly type: 'plain'; readonly path: string }
  | { readonly type: 'error'; readonly error: 'bad-path' | 'not-found' | 'method' }

/** Paths below one Namespace that mean the Namespace itself, not a type in it. */
const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize'])

/**
 * Reads a request line. Pure, total: any text gives a route.
 * @param path without the query, still percent-encoded
 */
export function parseRoute(method: string, path: string, query: URLSearchParams): Route {
  const segments = splitPath(path)
  if (!segments) return { type: 'error', error: 'bad-path' }
  const [root, ...rest] = segments
  if (root !== 'api' && root !== 'apis') return { type: 'plain', path: `/${segments.join('/')}` }
  const [group, version, ...below] = root === 'api' ? ['', ...rest] : rest
  if (below.length > 0) return parseResource(method, { group: group!, version: version! }, below, query)
  if (method !== 'GET' && method !== 'HEAD') return { type: 'error', error: 'method' }
  if (version !== undefined) return { type: 'resources', group: group!, version }
  return group ? { type: 'group', group } : { type: 'groups', root }
}

function splitPath(path: string): string[] | undefined {
  try {
    const segments = path.split('/').filter((segment) => segment !== '')
    const decoded = segments.map(decodeURIComponent)
    return decoded.some((segment) => segment === '..' || segment === '.' || segment.includes('/')) ? undefined : decoded
  } catch {
    return undefined
  }
}

function parseResource(
  method: string,
  groupVersion: { group: string; version: string },
  below: readonly string[],
  query: URLSearchParams,
): Route {
  const { namespace, parts } = splitNamespace(below)
  const [resource, name, subresource, ...extra] = parts
  if (resource === undefined || extra.length > 0) return { type: 'error', error: 'not-found' }
  const verb = verbOf(method, name, query)
  if (!verb || (verb === 'create' && name !== undefined && subresource === undefined))
    return { type: 'error', error: 'method' }
  return { type: 'resource', verb, ...groupVersion, resource, namespace, name, subresource }
}

/** `namespaces/x/pods/y` is pod y in x; `namespaces/x` and `namespaces/x/status` are Namespace x itself. */
function splitNamespace(below: readonly string[]): { namespace: string | undefined; parts: readonly string[] } {
  const [first, namespace, third] = below
  if (first !== 'namespaces' || namespace === undefined || third === undefined) {
    return { namespace: undefined, parts: below }
  }
  if (below.length === 3 && NAMESPACE_SUBRESOURCES.has(third)) return { namespace: undefined, parts: below }
  return { namespace, parts: below.slice(2) }
}

function verbOf(method: string, name: string | undefined, query: URLSearchParams): Verb | undefined {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (isTrue(query.get('watch'))) return 'watch'
      return name === undefined ? 'list' : 'get'
    case 'POST':
      return 'create'
    case 'PUT':
      return name === undefined ? undefined : 'update'
    case 'PATCH':
      return name === undefined ? undefined : 'patch'
    case 'DELETE':
      return name === undefined ? 'deletecollection' : 'delete'
    default:
      return undefined
  }
}

/** Go's reading of a boolean parameter: `?watch`, `?watch=1` and `?watch=true` all ask for it. */
export function isTrue(parameter: string | null): boolean {
  return parameter !== null && parameter !== 'false' && parameter !== '0'
}
