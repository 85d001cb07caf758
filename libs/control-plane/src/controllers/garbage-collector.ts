import { KINDS, type ObjectKey, objectKey, type Pod, type Resource } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import { terminatePod } from '../pod-termination.ts'
import type { StoreType } from '../store/store.ts'
import { type KnownType, PODS } from '../stored-kinds.ts'
import { type Change, type Controller, forEach } from './controller.ts'

interface Dependent {
  readonly type: StoreType
  readonly key: ObjectKey
  readonly uid: string | undefined
  readonly owners: readonly string[]
}

const STORED_TYPES: readonly StoreType[] = KINDS.filter(({ virtual }) => !virtual).map(
  ({ group, plural }) => `${group}/${plural}` as StoreType,
)

/** Removes what no living object owns any more. Keys are owners' uids. */
export class GarbageCollector implements Controller {
  readonly name = 'garbage-collector'
  readonly watches: Controller['watches'] = Object.fromEntries(
    STORED_TYPES.map((type) => [type, (change: Change) => this.#note(change)]),
  )
  readonly #cluster: Cluster
  readonly #living = new Set<string>()
  /** Owner's uid → what it owns, by type and key. */
  readonly #dependents = new Map<string, Map<string, Dependent>>()

  constructor(components: { cluster: Cluster }) {
    this.#cluster = components.cluster
    for (const type of STORED_TYPES) {
      for (const object of objectsOf(this.#cluster, type))
        if (object.metadata.uid) this.#living.add(object.metadata.uid)
    }
  }

  reconcile(uids: readonly string[]): Promise<void> {
    return forEach(uids, async (uid) => {
      if (this.#living.has(uid)) return
      const orphans = [...(this.#dependents.get(uid)?.values() ?? [])].filter(({ owners }) =>
        owners.every((owner) => !this.#living.has(owner)),
      )
      await Promise.all(orphans.map((orphan) => this.#remove(orphan)))
    })
  }

  /** Keeps the books; answers the owners whose dependents have to be looked at. */
  #note({ type, operation, object, previous }: Change): string[] {
    const { uid, ownerReferences = [] } = object.metadata
    const id = `${type} ${objectKey(object.metadata)}`
    for (const owner of previous?.metadata.ownerReferences ?? []) this.#disown(owner.uid, id)
    if (operation === 'deleted') {
      for (const owner of ownerReferences) this.#disown(owner.uid, id)
      if (!uid) return []
      this.#living.delete(uid)
      return this.#dependents.has(uid) ? [uid] : []
    }
    if (uid) this.#living.add(uid)
    const owners = ownerReferences.map((owner) => owner.uid)
    const dependent = { type, key: objectKey(object.metadata), uid, owners }
    for (const owner of owners) {
      const owned = this.#dependents.get(owner) ?? new Map<string, Dependent>()
      owned.set(id, dependent)
      this.#dependents.set(owner, owned)
    }
    return owners.filter((owner) => !this.#living.has(owner))
  }

  #disown(owner: string, id: string): void {
    const owned = this.#dependents.get(owner)
    owned?.delete(id)
    if (owned?.size === 0) this.#dependents.delete(owner)
  }

  async #remove({ type, key, uid }: Dependent): Promise<void> {
    if (type !== PODS) return this.#cluster.remove(type, key, uid)
    const pod: Pod | undefined = this.#cluster.get(PODS, key)
    if (pod?.metadata.uid === uid && pod) await terminatePod(this.#cluster, pod)
  }
}

function objectsOf(cluster: Cluster, type: StoreType): readonly Resource[] {
  return cluster.list(type as KnownType) as readonly Resource[]
}
