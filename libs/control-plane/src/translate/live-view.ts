import type { Cluster } from '../cluster.ts'
import type { MeshConfig } from '../mesh-config.ts'
import { TranslationView } from './view.ts'

/** A view that follows the store: for controllers that say in statuses what translations do. */
export class LiveView extends TranslationView implements Disposable {
  readonly #stop: () => void

  constructor(cluster: Cluster, mesh: MeshConfig) {
    super(cluster, mesh)
    this.#stop = cluster.watch((change) => this.invalidate(change))
  }

  [Symbol.dispose](): void {
    this.#stop()
  }
}
