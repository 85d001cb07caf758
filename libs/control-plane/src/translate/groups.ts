/** Items by group and id. */
export class Groups<T> {
  readonly #groups = new Map<string, Map<string, T>>()

  add(group: string, id: string, item: T): void {
    const items = this.#groups.get(group)
    if (items) items.set(id, item)
    else this.#groups.set(group, new Map([[id, item]]))
  }

  delete(group: string, id: string): void {
    const items = this.#groups.get(group)
    if (items?.delete(id) && items.size === 0) this.#groups.delete(group)
  }

  of(group: string): T[] {
    return [...(this.#groups.get(group)?.values() ?? [])]
  }

  get keys(): string[] {
    return [...this.#groups.keys()]
  }
}

/** Items by host names, wildcards among them. */
export class HostGroups<T> {
  readonly #exact = new Groups<T>()
  readonly #wildcards = new Groups<T>()

  add(host: string, id: string, item: T): void {
    this.#groupsOf(host).add(host, id, item)
  }

  delete(host: string, id: string): void {
    this.#groupsOf(host).delete(host, id)
  }

  /** Each item once, though several of its hosts match. */
  of(hostname: string): T[] {
    const patterns = this.#wildcards.keys.filter((pattern) => matchesHost(pattern, hostname))
    return [...new Set([...this.#exact.of(hostname), ...patterns.flatMap((pattern) => this.#wildcards.of(pattern))])]
  }

  #groupsOf(host: string): Groups<T> {
    return host.startsWith('*') ? this.#wildcards : this.#exact
  }
}

/** Whether a host name is one of those that a pattern means; `*` in front stands for one label or more. */
export function matchesHost(pattern: string, hostname: string): boolean {
  if (pattern === '*') return true
  return pattern.startsWith('*') ? hostname.endsWith(pattern.slice(1)) : pattern === hostname
}
