import { hash } from 'node:crypto'
import { assert, Emitter } from '@ambient-lab/std'
import { type ResourceTypes, TYPE_URLS, type TypeUrl } from './resources/index.ts'

export interface VersionedResource {
  readonly version: string
  readonly resource: unknown
  /** The only nodes that may see it, sorted; absent: all. */
  readonly nodes: readonly string[] | undefined
}

export interface ResourceChange {
  readonly typeUrl: TypeUrl
  readonly name: string
}

/**
 * The resources that the control plane serves, by type and name. A version is the hash of the content, so that an
 * agent which outlived the control plane holds the same versions as the next one and is sent only differences.
 */
export class VersionedResources {
  readonly #types = new Map<TypeUrl, Map<string, VersionedResource>>(TYPE_URLS.map((typeUrl) => [typeUrl, new Map()]))
  readonly #changes = new Emitter<ResourceChange>()
  #changeCount = 0

  /**
   * Tells whether that changed anything.
   * @param audience the only nodes that may see it, in any order. @default all
   */
  set<T extends TypeUrl>(typeUrl: T, name: string, resource: ResourceTypes[T], audience?: readonly string[]): boolean {
    const entries = this.#of(typeUrl)
    const version = contentVersion(resource)
    const nodes = audience?.toSorted()
    const current = entries.get(name)
    if (current?.version === version && sameNodes(current.nodes, nodes)) return false
    entries.set(name, { version, resource, nodes })
    this.#changed(typeUrl, name)
    return true
  }

  delete(typeUrl: TypeUrl, name: string): boolean {
    if (!this.#of(typeUrl).delete(name)) return false
    this.#changed(typeUrl, name)
    return true
  }

  get(typeUrl: TypeUrl, name: string): VersionedResource | undefined {
    return this.#of(typeUrl).get(name)
  }

  names(typeUrl: TypeUrl): Iterable<string> {
    return this.#of(typeUrl).keys()
  }

  count(typeUrl: TypeUrl): number {
    return this.#of(typeUrl).size
  }

  onChange(listener: (change: ResourceChange) => void): () => void {
    return this.#changes.on(listener)
  }

  /** Counts changes since the start: for people, and not comparable between two runs. */
  get systemVersion(): string {
    return String(this.#changeCount)
  }

  #changed(typeUrl: TypeUrl, name: string): void {
    this.#changeCount += 1
    this.#changes.emit({ typeUrl, name })
  }

  #of(typeUrl: TypeUrl): Map<string, VersionedResource> {
    const entries = this.#types.get(typeUrl)
    assert(entries, `no such type ${typeUrl}`)
    return entries
  }
}

function sameNodes(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.length === b.length && a.every((node, index) => node === b[index])
}

/** 72 bits of SHA-1 over the JSON with sorted keys: tells contents apart, is no protection against forgery. */
export function contentVersion(resource: unknown): string {
  return hash('sha1', JSON.stringify(resource, sortKeys), 'base64url').slice(0, 12)
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const keys = Object.keys(value)
  for (let index = 1; index < keys.length; index += 1) {
    if (keys[index - 1]! > keys[index]!) {
      keys.sort()
      return Object.fromEntries(keys.map((key) => [key, (value as Record<string, unknown>)[key]]))
    }
  }
  return value
}
