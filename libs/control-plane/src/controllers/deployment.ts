import {
  controllerOf,
  controllerReference,
  type Deployment,
  isConditionTrue,
  type Pod,
  type ReplicaSet,
  setCondition,
} from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import type { EventRecorder } from '../events.ts'
import { templateHash } from '../names.ts'
import { isLive } from '../nodes.ts'
import { planRollout, type RolloutState, rollingBounds } from '../rollout.ts'
import { DEPLOYMENTS, PODS, REPLICA_SETS } from '../stored-kinds.ts'
import { type Change, type Controller, forEach, itself, ownedBy } from './controller.ts'

const REVISION = 'deployment.kubernetes.io/revision'
const HASH_LABEL = 'pod-template-hash'
const SOURCE = { component: 'deployment-controller' }

interface OwnedSet {
  readonly set: ReplicaSet
  readonly pods: readonly Pod[]
}

/** Deployment → one ReplicaSet for each template it ever had, scaled step by step towards the current one. */
export class DeploymentController implements Controller {
  readonly name = 'deployment'
  readonly watches = {
    [DEPLOYMENTS]: itself,
    [REPLICA_SETS]: ownedBy('Deployment'),
    [PODS]: (change: Change) => this.#deploymentOfPod(change),
  }
  readonly #cluster: Cluster
  readonly #events: EventRecorder

  constructor(components: { cluster: Cluster; events: EventRecorder }) {
    this.#cluster = components.cluster
    this.#events = components.events
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) => this.#reconcile(key))
  }

  #deploymentOfPod(change: Change): string[] {
    const [key] = ownedBy('ReplicaSet')(change)
    const set = key && this.#cluster.get(REPLICA_SETS, key)
    const owner = set && controllerOf(set)
    return owner ? [`${change.object.metadata.namespace}/${owner.name}`] : []
  }

  async #reconcile(key: string): Promise<void> {
    const deployment = this.#cluster.get(DEPLOYMENTS, key)
    if (!deployment?.spec || deployment.metadata.deletionTimestamp) return
    const owned = this.#owned(deployment)
    const hash = templateHash(deployment.spec.template)
    const current = owned.find(({ set }) => set.metadata.labels?.[HASH_LABEL] === hash)
    const old = owned.filter((one) => one !== current)
    const plan = planRollout(deployment.spec, rolloutState(deployment, current, old))
    const writes: Promise<unknown>[] = []
    if (!deployment.spec.paused) writes.push(...this.#roll(deployment, { hash, current, old, plan }))
    writes.push(this.#writeStatus(key, deployment, current, owned))
    writes.push(...this.#forget(deployment, old))
    await Promise.all(writes)
  }

  #owned(deployment: Deployment): OwnedSet[] {
    const { namespace, uid } = deployment.metadata
    const sets = this.#cluster.list(REPLICA_SETS, namespace).filter((set) => controllerOf(set)?.uid === uid)
    if (sets.length === 0) return []
    const pods = this.#cluster.list(PODS, namespace).filter(isLive)
    return sets
      .map((set) => ({ set, pods: pods.filter((pod) => controllerOf(pod)?.uid === set.metadata.uid) }))
      .sort((a, b) => revisionOf(a.set) - revisionOf(b.set))
  }

  *#roll(
    deployment: Deployment,
    rollout: {
      hash: string
      current: OwnedSet | undefined
      old: readonly OwnedSet[]
      plan: ReturnType<typeof planRollout>
    },
  ): Iterable<Promise<unknown>> {
    const { hash, current, old, plan } = rollout
    const revision = String(1 + Math.max(0, ...old.map(({ set }) => revisionOf(set))))
    if (!current) yield this.#createSet(deployment, hash, plan.current, revision)
    else yield this.#scale(deployment, current.set, plan.current, revision)
    for (const { set } of old) {
      const replicas = plan.old.get(set.metadata.name)
      if (replicas !== undefined) yield this.#scale(deployment, set, replicas)
    }
  }

  async #createSet(deployment: Deployment, hash: string, replicas: number, revision: string): Promise<void> {
    const { metadata, spec } = deployment
    const name = `${metadata.name}-${hash}`
    const labels = { ...spec!.template.metadata?.labels, [HASH_LABEL]: hash }
    await this.#cluster.create(REPLICA_SETS, {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name,
        namespace: metadata.namespace!,
        labels,
        annotations: { [REVISION]: revision },
        ownerReferences: [controllerReference(deployment)],
      },
      spec: {
        replicas,
        selector: { matchLabels: { ...spec!.selector.matchLabels, [HASH_LABEL]: hash } },
        template: { ...spec!.template, metadata: { ...spec!.template.metadata, labels } },
      },
      status: { replicas: 0 },
    })
    if (replicas > 0) this.#scaled(deployment, name, 0, replicas)
  }

  async #scale(deployment: Deployment, set: ReplicaSet, replicas: number, revision?: string): Promise<void> {
    const before = set.spec?.replicas ?? 1
    const newer = revision !== undefined && Number(revision) > revisionOf(set)
    if (before === replicas && !newer) return
    const key = `${set.metadata.namespace}/${set.metadata.name}`
    await this.#cluster.update(REPLICA_SETS, key, (current) => ({
      ...current,
      metadata: newer
        ? { ...current.metadata, annotations: { ...current.metadata.annotations, [REVISION]: revision } }
        : current.metadata,
      spec: before === replicas ? current.spec! : { ...current.spec!, replicas },
    }))
    if (before !== replicas) this.#scaled(deployment, set.metadata.name, before, replicas)
  }

  #scaled(deployment: Deployment, name: string, from: number, to: number): void {
    const message = `Scaled ${to > from ? 'up' : 'down'} replica set ${name} from ${from} to ${to}`
    this.#events.record(deployment, SOURCE, { type: 'Normal', reason: 'ScalingReplicaSet', message })
  }

  /** Old templates are kept for a rollback, up to a limit. */
  #forget(deployment: Deployment, old: readonly OwnedSet[]): Promise<void>[] {
    const limit = deployment.spec?.revisionHistoryLimit ?? 10
    const idle = old.filter(({ set, pods }) => set.spec?.replicas === 0 && pods.length === 0)
    return idle.slice(0, Math.max(0, idle.length - limit)).map(({ set }) => {
      return this.#cluster.remove(REPLICA_SETS, `${set.metadata.namespace}/${set.metadata.name}`, set.metadata.uid)
    })
  }

  async #writeStatus(
    key: string,
    deployment: Deployment,
    current: OwnedSet | undefined,
    owned: readonly OwnedSet[],
  ): Promise<void> {
    const desired = deployment.spec?.replicas ?? 1
    const pods = owned.flatMap((one) => one.pods)
    const ready = pods.filter(isReady).length
    const updated = current?.pods.length ?? 0
    await this.#cluster.updateStatus(DEPLOYMENTS, key, ({ metadata, status }) => ({
      observedGeneration: metadata.generation ?? 1,
      replicas: pods.length,
      updatedReplicas: updated,
      readyReplicas: ready,
      availableReplicas: ready,
      unavailableReplicas: Math.max(0, desired - ready),
      conditions: this.#conditions(status?.conditions ?? [], {
        available: ready >= desired - rollingBounds(deployment.spec!, desired).unavailable,
        complete: updated === desired && pods.length === desired && ready === desired,
        setName: current?.set.metadata.name ?? deployment.metadata.name,
      }),
    }))
  }

  #conditions(
    conditions: NonNullable<NonNullable<Deployment['status']>['conditions']>,
    facts: { available: boolean; complete: boolean; setName: string },
  ) {
    const { clock } = this.#cluster
    const available = facts.available
      ? ({
          status: 'True',
          reason: 'MinimumReplicasAvailable',
          message: 'Deployment has minimum availability.',
        } as const)
      : ({
          status: 'False',
          reason: 'MinimumReplicasUnavailable',
          message: 'Deployment does not have minimum availability.',
        } as const)
    const progressing = facts.complete
      ? { reason: 'NewReplicaSetAvailable', message: `ReplicaSet "${facts.setName}" has successfully progressed.` }
      : { reason: 'ReplicaSetUpdated', message: `ReplicaSet "${facts.setName}" is progressing.` }
    const first = setCondition(conditions, { type: 'Available', ...available }, clock)
    return setCondition(first, { type: 'Progressing', status: 'True', ...progressing }, clock)
  }
}

function rolloutState(deployment: Deployment, current: OwnedSet | undefined, old: readonly OwnedSet[]): RolloutState {
  return {
    desired: deployment.spec?.replicas ?? 1,
    current: { replicas: current?.set.spec?.replicas ?? 0, available: current?.pods.filter(isReady).length ?? 0 },
    old: old.map(({ set, pods }) => ({
      name: set.metadata.name,
      // Recreate waits for the pods themselves to be gone, not only for the number that is asked for.
      replicas: deployment.spec?.strategy?.type === 'Recreate' ? pods.length : (set.spec?.replicas ?? 0),
      available: pods.filter(isReady).length,
    })),
  }
}

function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[REVISION] ?? 0)
}

function isReady(pod: Pod): boolean {
  return isConditionTrue(pod, 'Ready') && !pod.metadata.deletionTimestamp
}
