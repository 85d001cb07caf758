import { objectKey, type Pod } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import type { EventRecorder } from '../events.ts'
import { withoutVolumes } from '../pod-status.ts'
import { CONFIG_MAPS, PODS } from '../stored-kinds.ts'
import { missingVolumes } from '../translate/mounted-files.ts'
import { type Change, type Controller, forEach, itself } from './controller.ts'

/** Says of a pod that waits for its volumes what it waits for, in the words of a kubelet. */
export class VolumeController implements Controller {
  readonly name = 'volumes'
  readonly watches = { [PODS]: itself, [CONFIG_MAPS]: ({ object }: Change) => this.#mounters(object.metadata) }
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
    const pod = this.#cluster.get(PODS, key)
    if (!pod || !isWaiting(pod)) return
    const [missing] = missingVolumes(pod, this.#cluster)
    if (!missing) return
    const message = `MountVolume.SetUp failed for volume "${missing.volume}" : ${missing.problem}`
    const source = { component: 'kubelet', host: pod.spec!.nodeName! }
    this.#events.record(pod, source, { type: 'Warning', reason: 'FailedMount', message })
    await this.#cluster.update(PODS, key, (current) => withoutVolumes(current, message, this.#cluster.clock))
  }

  #mounters({ name, namespace }: Change['object']['metadata']): string[] {
    const pods = this.#cluster.list(PODS, namespace).filter(({ spec }) => isMounted(spec, name))
    return pods.map(({ metadata }) => objectKey(metadata))
  }
}

/** Its node would start it. */
function isWaiting({ metadata, spec, status }: Pod): boolean {
  return Boolean(spec?.nodeName && status?.podIP && status.phase === 'Pending' && !metadata.deletionTimestamp)
}

function isMounted(spec: Pod['spec'], name: string): boolean {
  return spec?.volumes?.some(({ configMap }) => configMap?.name === name) ?? false
}
