import {
  controllerOf,
  controllerReference,
  isConditionTrue,
  objectKey,
  type Pod,
  type ReplicaSet,
} from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import type { EventRecorder } from '../events.ts'
import { generateName } from '../names.ts'
import { isLive } from '../nodes.ts'
import { terminatePod } from '../pod-termination.ts'
import { injected } from '../sidecars/injection.ts'
import { NAMESPACES, PODS, REPLICA_SETS } from '../stored-kinds.ts'
import { type Controller, forEach, itself, ownedBy } from './controller.ts'

const SOURCE = { component: 'replicaset-controller' }

/** Keeps as many pods of one template as asked for. */
export class ReplicaSetController implements Controller {
  readonly name = 'replicaset'
  readonly watches = { [REPLICA_SETS]: itself, [PODS]: ownedBy('ReplicaSet') }
  readonly #cluster: Cluster
  readonly #events: EventRecorder

  constructor(components: { cluster: Cluster; events: EventRecorder }) {
    this.#cluster = components.cluster
    this.#events = components.events
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) => this.#reconcile(key))
  }

  async #reconcile(key: string): Promise<void> {
    const set = this.#cluster.get(REPLICA_SETS, key)
    if (!set?.spec || set.metadata.deletionTimestamp) return
    const { namespace, uid } = set.metadata
    const pods = this.#cluster
      .list(PODS, namespace)
      .filter((pod) => controllerOf(pod)?.uid === uid && isLive(pod) && !pod.metadata.deletionTimestamp)
    const missing = (set.spec.replicas ?? 1) - pods.length
    const writes: Promise<unknown>[] = []
    for (let index = 0; index < missing; index += 1) writes.push(this.#createPod(set))
    for (const pod of pods.sort(leastMissedFirst).slice(0, Math.max(0, -missing)))
      writes.push(this.#deletePod(set, pod))
    const ready = pods.filter((pod) => isConditionTrue(pod, 'Ready')).length
    writes.push(
      this.#cluster.updateStatus(REPLICA_SETS, key, ({ metadata }) => ({
        observedGeneration: metadata.generation ?? 1,
        replicas: pods.length,
        fullyLabeledReplicas: pods.length,
        readyReplicas: ready,
        availableReplicas: ready,
      })),
    )
    await Promise.all(writes)
  }

  async #createPod(set: ReplicaSet): Promise<void> {
    const { metadata, spec } = set
    const { template } = spec!
    const name = generateName(`${metadata.name}-`, this.#cluster.random)
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        generateName: `${metadata.name}-`,
        namespace: metadata.namespace!,
        ...(template.metadata?.labels && { labels: template.metadata.labels }),
        ...(template.metadata?.annotations && { annotations: template.metadata.annotations }),
        ownerReferences: [controllerReference(set)],
      },
      spec: { ...template.spec, serviceAccountName: template.spec.serviceAccountName ?? 'default' },
      status: { phase: 'Pending' },
    }
    // The API's own admission does not see what controllers write.
    await this.#cluster.create(PODS, injected(pod, this.#cluster.get(NAMESPACES, metadata.namespace!)))
    this.#events.record(set, SOURCE, { type: 'Normal', reason: 'SuccessfulCreate', message: `Created pod: ${name}` })
  }

  async #deletePod(set: ReplicaSet, pod: Pod): Promise<void> {
    await terminatePod(this.#cluster, pod)
    const message = `Deleted pod: ${objectKey(pod.metadata).split('/')[1]}`
    this.#events.record(set, SOURCE, { type: 'Normal', reason: 'SuccessfulDelete', message })
  }
}

/** Kubernetes' order: unplaced before placed, not ready before ready, then the youngest. */
function leastMissedFirst(a: Pod, b: Pod): number {
  const rank = (pod: Pod) => (pod.spec?.nodeName ? 1 : 0) + (isConditionTrue(pod, 'Ready') ? 2 : 0)
  const age = (pod: Pod) => pod.metadata.creationTimestamp ?? ''
  return rank(a) - rank(b) || (age(a) > age(b) ? -1 : age(a) < age(b) ? 1 : a.metadata.name < b.metadata.name ? -1 : 1)
}
