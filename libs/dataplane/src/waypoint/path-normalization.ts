/** Istio's `meshConfig.pathNormalization.normalization`; each one does what the one before does, and more. */
export type PathNormalization = 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES'

/** Where there may be something to do: a dot segment, an escape, a backslash, or what no path may have. */
const SUSPECT = /^(?!\/)|\/\.|[^!$&'()*+,\-./0-9:;=@A-Z[\]_a-z~]/

/** Unreserved characters: the only escapes that are undone, besides those of slashes. */
const UNRESERVED = /^[-.\w~]$/

/** What RFC 3986 has in no path. An escape's percent sign is one of those it has. */
const TO_ESCAPE = /[^!$%&'()*+,\-./0-9:;=@A-Z[\]_a-z~]/g

const ESCAPED_SLASHES = /%2f|%5c/gi

/**
 * A request's path as policies, routes and the upstream are to see it; the query stays as it is.
 * @param path what the client sent, with its query; `*` and the empty path of CONNECT are no paths
 * @returns undefined when it is to be refused with 400 (`path_normalization_failed`): it has an escaped NUL
 * @see https://istio.io/latest/docs/reference/config/security/normalization/
 */
export function normalizePath(path: string, normalization: PathNormalization): string | undefined {
  if (normalization === 'NONE' || path === '*' || path === '') return path
  const end = path.indexOf('?')
  const query = end < 0 ? '' : path.slice(end)
  let normal = end < 0 ? path : path.slice(0, end)
  if (normalization === 'DECODE_AND_MERGE_SLASHES') normal = decodeSlashes(normal)
  const canonical = canonicalizePath(normal)
  if (canonical === undefined) return undefined
  return (normalization === 'BASE' ? canonical : mergeSlashes(canonical)) + query
}

/**
 * Envoy's `normalize_path`: resolves dot segments, escaped or not; unescapes unreserved characters and leaves other
 * escapes alone; takes a backslash for a slash; escapes what no path may have. All of that once: what an escape turns
 * into is not looked at again.
 * @param path without query
 * @returns undefined when there is an escaped NUL
 */
export function canonicalizePath(path: string): string | undefined {
  if (!SUSPECT.test(path)) return path
  const unescaped = unescapeUnreserved(path)
  if (unescaped === undefined) return undefined
  const segments: string[] = []
  const parts = unescaped.replaceAll('\\', '/').split('/')
  // What is before the first slash is a segment too when there is no slash in front: `..` is `/..`.
  const given = parts[0] === '' && parts.length > 1 ? parts.slice(1) : parts
  given.forEach((segment, index) => {
    const isLast = index === given.length - 1
    if (segment === '..') segments.pop()
    if (segment === '.' || segment === '..') {
      // The directory itself, with its slash.
      if (isLast) segments.push('')
    } else {
      segments.push(segment)
    }
  })
  return `/${segments.join('/')}`.replaceAll(TO_ESCAPE, escapeCharacter)
}

/** Runs of slashes in the path become one. The query stays as it is. */
export function mergeSlashes(path: string): string {
  const end = path.indexOf('?')
  if (end < 0) return path.includes('//') ? path.replaceAll(/\/{2,}/g, '/') : path
  return mergeSlashes(path.slice(0, end)) + path.slice(end)
}

/** What is before the query and the fragment: what `paths` of policies and routes are compared with. */
export function removeQueryAndFragment(path: string): string {
  const end = path.search(/[?#]/)
  return end < 0 ? path : path.slice(0, end)
}

function decodeSlashes(path: string): string {
  if (!path.includes('%')) return path
  return path.replaceAll(ESCAPED_SLASHES, (escaped) => (escaped[1] === '2' ? '/' : '\\'))
}

/** A `%` without two digits stays, as browsers have it. */
function unescapeUnreserved(path: string): string | undefined {
  if (!path.includes('%')) return path
  if (path.includes('%00')) return undefined
  return path.replaceAll(/%([0-9A-Fa-f]{2})/g, (escaped, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16))
    return UNRESERVED.test(character) ? character : escaped
  })
}

function escapeCharacter(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
