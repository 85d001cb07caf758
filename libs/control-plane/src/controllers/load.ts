import {
  controllerOf,
  isConditionTrue,
  type Load,
  objectKey,
  type Pod,
  parseTypedName,
  timestamp,
} from '@ambient-lab/api'
import type { LoadProgress } from '@ambient-lab/xds'
import type { Cluster } from '../cluster.ts'
import { LOAD_SOURCE_ANNOTATION, loadSource } from '../load-source.ts'
import type { MeshConfig } from '../mesh-config.ts'
import { isLive } from '../nodes.ts'
import { DEPLOYMENTS, LOADS, PODS, REPLICA_SETS } from '../stored-kinds.ts'
import { podUid } from '../translate/pod-workload.ts'
import { type Change, type Controller, forEach, itself } from './controller.ts'

const PHASES = { running: 'Running', finished: 'Finished', failed: 'Failed' } as const
const DEPLOYMENT_WORDS = ['deploy', 'deployment', 'deployments', 'deployments.apps']

/** Chooses the pod that sends each Load, and writes down how it goes. */
export class LoadController implements Controller {
  readonly name = 'load'
  readonly watches = { [LOADS]: itself, [PODS]: (change: Change) => this.#loadsOfPod(change) }
  readonly #cluster: Cluster
  readonly #mesh: MeshConfig

  constructor(components: { cluster: Cluster }, init: { mesh: MeshConfig }) {
    this.#cluster = components.cluster
    this.#mesh = init.mesh
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) => this.#reconcile(key))
  }

  /** What an agent reports of a run that was given to it. */
  async progress(node: string, progress: LoadProgress): Promise<void> {
    const key = `${progress.namespace}/${progress.name}`
    await this.#cluster.updateStatus(LOADS, key, ({ status }) => {
      const over = status?.phase === 'Finished' || status?.phase === 'Failed'
      return over || status?.node !== node
        ? (status ?? {})
        : { ...status, ...progressStatus(progress, this.#cluster.now()) }
    })
  }

  #loadsOfPod({ object }: Change): string[] {
    const loads = this.#cluster.list(LOADS, object.metadata.namespace)
    return loads.filter(isUnfinished).map(({ metadata }) => objectKey(metadata))
  }

  async #reconcile(key: string): Promise<void> {
    const load = this.#cluster.get(LOADS, key)
    if (!load?.spec || load.metadata.deletionTimestamp || !isUnfinished(load)) return
    const pods = this.#cluster.list(PODS, load.metadata.namespace).filter(isLive)
    const source = loadSource(load)
    if (source === undefined) return this.#start(key, load, pods)
    if (pods.some((pod) => this.#uidOf(pod) === source)) return
    const message = `the pod that sent is gone: ${source}`
    await this.#cluster.updateStatus(LOADS, key, ({ status }) => ({
      ...status,
      phase: 'Failed' as const,
      message,
      finishedAt: this.#cluster.now(),
    }))
  }

  async #start(key: string, load: Load, pods: readonly Pod[]): Promise<void> {
    const pod = this.#candidates(load, pods).find((candidate) => isConditionTrue(candidate, 'Ready'))
    if (!pod) {
      const message = `waits for a ready pod of ${load.spec!.from}`
      await this.#cluster.updateStatus(LOADS, key, ({ status }) => ({ ...status, phase: 'Pending' as const, message }))
      return
    }
    await this.#cluster.update(LOADS, key, (current) => ({
      ...current,
      metadata: {
        ...current.metadata,
        annotations: { ...current.metadata.annotations, [LOAD_SOURCE_ANNOTATION]: this.#uidOf(pod) },
      },
      status: {
        ...current.status,
        phase: 'Pending',
        node: pod.spec!.nodeName!,
        message: `sent by ${pod.metadata.name}`,
      },
    }))
  }

  /** `pod/x`, `deploy/x`, or a bare name: a pod's, or else a deployment's. */
  #candidates({ spec, metadata }: Load, pods: readonly Pod[]): readonly Pod[] {
    const typed = parseTypedName(spec!.from)
    const name = typed?.name ?? spec!.from
    const named = pods.filter((pod) => pod.metadata.name === name)
    if (typed && !DEPLOYMENT_WORDS.includes(typed.type)) return named
    if (!typed && named.length > 0) return named
    const deployment = this.#cluster.get(DEPLOYMENTS, `${metadata.namespace}/${name}`)
    const sets = this.#cluster
      .list(REPLICA_SETS, metadata.namespace)
      .filter((set) => deployment && controllerOf(set)?.uid === deployment.metadata.uid)
    const uids = new Set(sets.map((set) => set.metadata.uid))
    return pods.filter((pod) => uids.has(controllerOf(pod)?.uid))
  }

  #uidOf({ metadata }: Pod): string {
    return podUid(metadata.namespace ?? '', metadata.name, this.#mesh.clusterId)
  }
}

function isUnfinished({ status }: Load): boolean {
  return status?.phase !== 'Finished' && status?.phase !== 'Failed'
}

function progressStatus(progress: LoadProgress, now: string): NonNullable<Load['status']> {
  const { name: _, namespace: __, state, startedAtMs, ...numbers } = progress
  return {
    ...numbers,
    phase: PHASES[state],
    startedAt: timestamp(startedAtMs),
    ...(state !== 'running' && { finishedAt: now }),
  }
}
