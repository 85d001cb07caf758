import { isConditionTrue, type Lab } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import { isLive } from '../nodes.ts'
import { LABS, NODES, PODS } from '../stored-kinds.ts'
import type { Controller } from './controller.ts'

/** Changes within this time are counted together. */
const SETTLE_MS = 20

/** Counts the lab's nodes and pods into the status of its Lab object. */
export class LabStatusController implements Controller, Disposable {
  readonly name = 'lab-status'
  readonly watches = { [LABS]: always, [NODES]: always, [PODS]: always }
  readonly #cluster: Cluster
  #cancel: (() => void) | undefined

  constructor(components: { cluster: Cluster }) {
    this.#cluster = components.cluster
  }

  async reconcile(): Promise<void> {
    this.#cancel ??= this.#cluster.clock.schedule(SETTLE_MS, () => {
      this.#cancel = undefined
      // Counted anew at the next change; nothing depends on these numbers.
      this.#write().catch(() => {})
    })
  }

  [Symbol.dispose](): void {
    this.#cancel?.()
  }

  async #write(): Promise<void> {
    const nodes = this.#cluster.list(NODES)
    const pods = this.#cluster.list(PODS).filter(isLive)
    const readyPods = pods.filter((pod) => isConditionTrue(pod, 'Ready')).length
    const healthy = readyPods === pods.length && nodes.every((node) => isConditionTrue(node, 'Ready'))
    for (const lab of this.#cluster.list(LABS)) {
      const phase = phaseOf(lab, healthy && nodes.length > 0)
      await this.#cluster.updateStatus(LABS, lab.metadata.name, ({ status }) => ({
        ...status,
        phase,
        nodes: nodes.length,
        pods: pods.length,
        readyPods,
      }))
    }
  }
}

/** A lab is starting until everything was ready once; what is not ready later is a degradation. */
function phaseOf({ status }: Lab, healthy: boolean): string {
  if (healthy) return 'Running'
  return status?.phase === 'Running' || status?.phase === 'Degraded' ? 'Degraded' : 'Starting'
}

function always(): string[] {
  return ['lab']
}
