/**
 * Principals that mean the mesh's own trust domain, under each of its names. One whose trust domain is `*` or somebody
 * else's stays as it is; `cluster.local` is the mesh's own whatever that is called.
 * @param trustDomains the mesh's name and its aliases
 * @see istiod `ReplaceTrustDomainAliases`, from which the order is, too
 */
export function principalsOfAliases(principals: readonly string[], trustDomains: readonly string[]): readonly string[] {
  return principals.flatMap((principal) => {
    const parts = principal.split('/')
    const [written = '', ...rest] = parts
    if (parts.length !== 5 || written === '*') return [principal]
    if (written !== 'cluster.local' && !trustDomains.some((own) => fitEachOther(written, own))) return [principal]
    const names = trustDomains.map((own) => (fitsSuffix(own, written) ? principal : [own, ...rest].join('/')))
    return [...new Set(names)]
  })
}

/** Trust domains under each of the mesh's names, where one of those is written. */
export function trustDomainsOfAliases(values: readonly string[], trustDomains: readonly string[]): readonly string[] {
  return [...new Set(values.flatMap((value) => (trustDomains.includes(value) ? trustDomains : [value])))]
}

/** Either may be a pattern. */
function fitEachOther(a: string, b: string): boolean {
  return a === b || b === '*' || [fitsPrefix, fitsSuffix].some((fits) => fits(a, b) || fits(b, a))
}

function fitsPrefix(text: string, pattern: string): boolean {
  return pattern.endsWith('*') && text.startsWith(pattern.slice(0, -1))
}

function fitsSuffix(text: string, pattern: string): boolean {
  return pattern.startsWith('*') && text.endsWith(pattern.slice(1))
}
