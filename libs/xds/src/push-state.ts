import type { Delta, Reject } from './messages.ts'
import type { TypeUrl } from './resources/index.ts'
import type { VersionedResource, VersionedResources } from './versioned-resources.ts'

/** What one agent was told of one type, and what it has yet to be told. Knows no link and no clock. */
export class PushState {
  readonly #typeUrl: TypeUrl
  readonly #resources: VersionedResources
  readonly #node: string
  /** Name → version that the agent was sent last, whether it took it or not. */
  readonly #sent: Map<string, string>
  /** Versions the agent refused: it still holds what it had before, if anything. */
  readonly #refused = new Map<string, string>()
  readonly #dirty = new Set<string>()
  #outstanding: { readonly nonce: string; readonly names: ReadonlySet<string> } | undefined
  #nonce = 0
  /** The first push goes out even when it is empty: it tells the agent that it is complete. */
  #answered = false

  constructor(
    typeUrl: TypeUrl,
    resources: VersionedResources,
    node: string,
    initialVersions: Readonly<Record<string, string>>,
  ) {
    this.#typeUrl = typeUrl
    this.#resources = resources
    this.#node = node
    this.#sent = new Map(Object.entries(initialVersions))
    for (const name of this.#sent.keys()) this.#dirty.add(name)
    for (const name of resources.names(typeUrl)) this.#dirty.add(name)
  }

  /** A resource changed; tells whether a push can follow from it. */
  touch(name: string): boolean {
    if (!this.#visible(name) && !this.#sent.has(name)) return false
    this.#dirty.add(name)
    return true
  }

  /** There is news that goes out when the push before it is acknowledged. */
  get isWaiting(): boolean {
    return this.#outstanding !== undefined && this.#dirty.size > 0
  }

  /** The push to send now, if there is news and none is unacknowledged. */
  next(): Delta | undefined {
    if (this.#outstanding) return undefined
    const upserts: { name: string; version: string; resource: unknown }[] = []
    const removed: string[] = []
    for (const name of this.#dirty) {
      const entry = this.#visible(name)
      if (entry && this.#sent.get(name) !== entry.version) {
        upserts.push({ name, version: entry.version, resource: entry.resource })
        this.#sent.set(name, entry.version)
      } else if (!entry && this.#sent.delete(name)) {
        removed.push(name)
        this.#refused.delete(name)
      }
    }
    this.#dirty.clear()
    if (this.#answered && upserts.length === 0 && removed.length === 0) return undefined
    this.#answered = true
    this.#nonce += 1
    const nonce = String(this.#nonce)
    this.#outstanding = { nonce, names: new Set(upserts.map(({ name }) => name)) }
    const systemVersion = this.#resources.systemVersion
    return { type: 'delta', typeUrl: this.#typeUrl, nonce, upserts, removed, systemVersion }
  }

  /** Books the agent's answer; false when it answers no push that is outstanding. */
  settle(nonce: string, errors: Reject['errors']): boolean {
    const outstanding = this.#outstanding
    if (outstanding?.nonce !== nonce) return false
    this.#outstanding = undefined
    for (const name of outstanding.names) this.#refused.delete(name)
    for (const { name } of errors) {
      const version = this.#sent.get(name)
      // Not sent again before it changes: the agent would refuse it again.
      if (version !== undefined && outstanding.names.has(name)) this.#refused.set(name, version)
    }
    return true
  }

  acknowledgedVersion(name: string): string | undefined {
    const version = this.#sent.get(name)
    if (version === undefined || this.#refused.get(name) === version) return undefined
    return this.#outstanding?.names.has(name) ? undefined : version
  }

  #visible(name: string): VersionedResource | undefined {
    const entry = this.#resources.get(this.#typeUrl, name)
    return entry && (entry.nodes === undefined || entry.nodes.includes(this.#node)) ? entry : undefined
  }
}
