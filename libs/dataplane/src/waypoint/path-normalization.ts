import type { L7Proxy } from '@ambient-lab/xds'

/**
 * The path (query apart) as policies and routes see it, and the backend after them.
 * BASE: percent escapes of unreserved characters are decoded, `\` becomes `/`, dot segments go; MERGE_SLASHES besides
 * makes one slash of several; DECODE_AND_MERGE_SLASHES before that decodes escaped slashes.
 * @param target with its query
 * @returns undefined for one that cannot be normalized: it is answered 400
 * @see https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#MeshConfig-ProxyPathNormalization
 */
export function normalizePath(target: string, mode: L7Proxy['pathNormalization']): string | undefined {
  if (mode === 'NONE' || target === '*') return target
  const question = target.indexOf('?')
  const path = question < 0 ? target : target.slice(0, question)
  if (isNormal(path)) return target
  const normalized = normalize(path, mode)
  if (normalized === undefined || question < 0) return normalized
  return normalized + target.slice(question)
}

/** Nothing to do for nearly every request: no escape, no backslash, no doubled slash, no segment of dots. */
function isNormal(path: string): boolean {
  if (path.charCodeAt(0) !== SLASH) return false
  let previous = 0
  for (let index = 0; index < path.length; index += 1) {
    const code = path.charCodeAt(index)
    if (code === PERCENT || code === BACKSLASH) return false
    if (previous === SLASH && (code === SLASH || code === DOT)) return false
    previous = code
  }
  return true
}

const SLASH = 47
const DOT = 46
const PERCENT = 37
const BACKSLASH = 92

function normalize(path: string, mode: L7Proxy['pathNormalization']): string | undefined {
  let text = path
  if (mode === 'DECODE_AND_MERGE_SLASHES') text = text.replaceAll(/%2f/gi, '/').replaceAll(/%5c/gi, '\\')
  text = decodeUnreserved(text).replaceAll('\\', '/')
  if (!text.startsWith('/')) return undefined
  const resolved = removeDotSegments(text)
  return mode === 'BASE' ? resolved : resolved.replaceAll(/\/{2,}/g, '/')
}

/** RFC 3986 §6.2.2.2. An escape that is none stays as it is; so does every other, in the case it came in. */
function decodeUnreserved(path: string): string {
  return path.replaceAll(/%([0-9a-f]{2})/gi, (text, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16))
    return /[A-Za-z0-9\-._~]/.test(character) ? character : text
  })
}

/** RFC 3986 §5.2.4; an empty segment is one that `..` can take back. */
function removeDotSegments(path: string): string {
  const kept: string[] = []
  const segments = path.slice(1).split('/')
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
    if (isLast && (segment === '.' || segment === '..')) kept.push('')
  }
  return `/${kept.join('/')}`
}
