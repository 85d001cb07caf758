import type { Cluster as ClusterConfig } from '@ambient-lab/xds'
import { Cluster, type ClusterComponents } from './cluster.ts'
import type { OwnPlace } from './locality.ts'

/** The clusters of one proxy by name. A changed one is replaced, and keeps its hosts with what is known of them. */
export class Clusters implements Disposable {
  readonly #components: ClusterComponents
  readonly #own: () => OwnPlace
  readonly #byName = new Map<string, Cluster>()

  constructor(components: ClusterComponents, own: () => OwnPlace) {
    this.#components = components
    this.#own = own
  }

  get(name: string): Cluster | undefined {
    return this.#byName.get(name)
  }

  values(): Iterable<Cluster> {
    return this.#byName.values()
  }

  upsert(config: ClusterConfig): void {
    const before = this.#byName.get(config.name)
    if (before && JSON.stringify(before.config) === JSON.stringify(config)) return
    const cluster = new Cluster(this.#components, config, this.#own())
    if (before) {
      if (JSON.stringify(before.config.endpoints) === JSON.stringify(config.endpoints)) cluster.adopt(before)
      before[Symbol.dispose]()
    }
    this.#byName.set(config.name, cluster)
  }

  remove(name: string): void {
    this.#byName.get(name)?.[Symbol.dispose]()
    this.#byName.delete(name)
  }

  [Symbol.dispose](): void {
    for (const cluster of this.#byName.values()) cluster[Symbol.dispose]()
    this.#byName.clear()
  }
}
