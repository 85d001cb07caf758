/**
 * What two host names of the Gateway API have in common: the narrower of them, or nothing. `*.example.com` means every
 * name below, however deep; `*` means all.
 */
export function intersectHostnames(a: string, b: string): string | undefined {
  if (a === b) return a
  if (covers(a, b)) return b
  return covers(b, a) ? a : undefined
}

/** Whether a pattern means every host that the other one means. */
export function covers(pattern: string, hostname: string): boolean {
  if (pattern === '*' || pattern === hostname) return true
  // `*.example.com` covers `*.foo.example.com`, and not `example.com`.
  return (
    pattern.startsWith('*.') && hostname.replace(/^\*/, '').endsWith(pattern.slice(1)) && hostname !== pattern.slice(2)
  )
}

/** The more specific first: exact names, then the longest suffix. */
export function bySpecificity(a: string, b: string): number {
  return Number(a.startsWith('*')) - Number(b.startsWith('*')) || b.length - a.length || (a < b ? -1 : 1)
}
