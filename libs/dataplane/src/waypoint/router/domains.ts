/** `Example.com:8080` → `example.com`; an IPv6 literal keeps its brackets. */
export function hostOf(authority: string): string {
  const colon = authority.lastIndexOf(':')
  const isPort = colon > authority.lastIndexOf(']') && colon > 0
  return (isPort ? authority.slice(0, colon) : authority).toLowerCase()
}

/**
 * Finds what a host name belongs to: its exact name first, then the longest suffix (`*.example.com`), then the longest
 * prefix (`example.*`), then `*`. That is Envoy's order.
 * @see https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-virtualhost
 */
export class DomainTable<T> {
  readonly #exact = new Map<string, T>()
  /** Longest first. */
  readonly #suffixes: [string, T][] = []
  readonly #prefixes: [string, T][] = []
  #any: T | undefined

  /** Of two entries with one domain the first counts. */
  constructor(entries: Iterable<readonly [domain: string, value: T]>) {
    for (const [domain, value] of entries) this.#add(domain.toLowerCase(), value)
    const longestFirst = (a: [string, T], b: [string, T]) => b[0].length - a[0].length
    this.#suffixes.sort(longestFirst)
    this.#prefixes.sort(longestFirst)
  }

  /** @param host lower case, without a port */
  find(host: string): T | undefined {
    const exact = this.#exact.get(host)
    if (exact !== undefined) return exact
    // A wildcard stands for at least one character.
    for (const [suffix, value] of this.#suffixes) {
      if (host.length > suffix.length && host.endsWith(suffix)) return value
    }
    for (const [prefix, value] of this.#prefixes) {
      if (host.length > prefix.length && host.startsWith(prefix)) return value
    }
    return this.#any
  }

  #add(domain: string, value: T): void {
    if (domain === '*') this.#any ??= value
    else if (domain.startsWith('*')) this.#suffixes.push([domain.slice(1), value])
    else if (domain.endsWith('*')) this.#prefixes.push([domain.slice(0, -1), value])
    else if (!this.#exact.has(domain)) this.#exact.set(domain, value)
  }
}
