const SLASH = 47

/** Characters that a variable part of a template may stand for: RFC 3986 `pchar`, as Envoy's URI templates have it. */
const PCHAR = new Uint8Array(128)
for (const char of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()+,;:@=") {
  PCHAR[char.charCodeAt(0)] = 1
}

/** A path template, ready to be asked. */
export interface PathTemplate {
  /** Text that every path begins with that fits. */
  readonly head: string
  matches(path: string): boolean
}

/**
 * Compiles `/a/{*}/b/{**}`: `{*}` is one segment that is not empty, `{**}` any number of them, none included, and the
 * last variable of the template; `*` and `**` say the same. Each character of a path is looked at once or twice.
 * @returns undefined for what is no template
 * @see https://istio.io/latest/docs/reference/config/security/authorization-policy/#Operation
 */
export function compilePathTemplate(template: string): PathTemplate | undefined {
  const pieces = template.split(/(\{\*\*?\}|\*\*?)/)
  const parts = pieces.map((piece, index) => (index % 2 === 1 ? piece.replace(/[{}]/g, '') : piece))
  const open = parts.indexOf('**')
  if (open >= 0 && parts.indexOf('*', open) >= 0) return undefined
  if (open !== parts.lastIndexOf('**') || parts.length < 3) return undefined
  if (parts.some((part) => /[{}]/.test(part)) || parts.some(isWedged)) return undefined
  const tail = parts.at(-1) ?? ''
  const before = open < 0 ? parts.slice(0, -1) : parts.slice(0, open)
  return {
    head: parts[0] ?? '',
    matches(path) {
      const at = matchSegments(before, path)
      if (at < 0 || path.length - at < tail.length || !path.endsWith(tail)) return false
      const end = path.length - tail.length
      return open < 0 ? at === end : isVariable(path, at, end, true)
    },
  }
}

/** Two variables without a text between them, or a single one inside a segment: Istio has no such templates. */
function isWedged(part: string, index: number, parts: readonly string[]): boolean {
  if (part !== '*') return false
  const before = parts[index - 1] ?? ''
  const after = parts[index + 1] ?? ''
  return !before.endsWith('/') || (after !== '' && !after.startsWith('/'))
}

/** Texts and `*`, one behind the other, from the start of the path. @returns where they end, -1 when they do not fit */
function matchSegments(parts: readonly string[], path: string): number {
  let at = 0
  for (const part of parts) {
    if (part !== '*') {
      if (!path.startsWith(part, at)) return -1
      at += part.length
      continue
    }
    const slash = path.indexOf('/', at)
    const end = slash < 0 ? path.length : slash
    if (end === at || !isVariable(path, at, end, false)) return -1
    at = end
  }
  return at
}

function isVariable(path: string, start: number, end: number, slashes: boolean): boolean {
  for (let index = start; index < end; index += 1) {
    const code = path.charCodeAt(index)
    if (PCHAR[code] !== 1 && !(slashes && code === SLASH)) return false
  }
  return true
}
