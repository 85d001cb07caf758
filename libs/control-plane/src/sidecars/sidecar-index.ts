import { hasSidecar, type ObjectKey, objectKey, type Pod } from '@ambient-lab/api'
import { PODS } from '../stored-kinds.ts'
import { Groups } from '../translate/groups.ts'
import type { ObjectChange } from '../translate/translation.ts'

interface Place {
  readonly key: ObjectKey
  readonly namespace: string
  readonly node: string
}

interface Listing {
  list(type: typeof PODS): readonly Pod[]
}

/** Where sidecars run: what they are told is for those nodes. Kept with every change. */
export class SidecarIndex {
  readonly #pods = new Groups<Place>()

  constructor(reader: Listing) {
    for (const pod of reader.list(PODS)) this.#add(pod)
  }

  update({ type, operation, object, previous }: ObjectChange): void {
    if (type !== PODS) return
    if (previous) this.#remove(previous as Pod)
    if (operation === 'deleted') this.#remove(object as Pod)
    else this.#add(object as Pod)
  }

  /** Namespaces with a sidecar somewhere, sorted. */
  get namespaces(): readonly string[] {
    return distinct(this.#places.map(({ namespace }) => namespace))
  }

  /** Nodes with a sidecar of any namespace, sorted. */
  get nodes(): readonly string[] {
    return distinct(this.#places.map(({ node }) => node))
  }

  /** Nodes with a sidecar of a namespace, sorted. */
  nodesOf(namespace: string): readonly string[] {
    return distinct(this.#places.flatMap((place) => (place.namespace === namespace ? place.node : [])))
  }

  /** Keys of the pods with a sidecar, of one namespace or of all. */
  podsOf(namespace: string | undefined): ObjectKey[] {
    const groups = this.#pods.keys.filter((group) => namespace === undefined || group.startsWith(`${namespace} `))
    return groups.flatMap((group) => this.#pods.of(group).map(({ key }) => key))
  }

  /** Whether a change of a pod, which is worked in already, brought the first sidecar of a namespace to a node, or took the last. */
  isTurningPoint({ operation, object, previous }: Pick<ObjectChange, 'operation' | 'object' | 'previous'>): boolean {
    const [after, before] = [operation === 'deleted' ? undefined : placeOf(object as Pod), placeOf(previous as Pod)]
    if (after && before && groupOf(after) === groupOf(before)) return false
    const came = after !== undefined && this.#pods.of(groupOf(after)).length === 1
    return came || (before !== undefined && this.#pods.of(groupOf(before)).length === 0)
  }

  get #places(): readonly Place[] {
    return this.#pods.keys.flatMap((key) => this.#pods.of(key).slice(0, 1))
  }

  #add(pod: Pod): void {
    const place = placeOf(pod)
    if (place) this.#pods.add(groupOf(place), place.key, place)
  }

  #remove(pod: Pod): void {
    const place = placeOf(pod)
    if (place) this.#pods.delete(groupOf(place), place.key)
  }
}

/** Undefined for a pod without a sidecar, without a place, or without a future. */
function placeOf(pod: Pod | undefined): Place | undefined {
  const { nodeName } = pod?.spec ?? {}
  const { podIP, phase } = pod?.status ?? {}
  if (!pod || !nodeName || !podIP || phase === 'Succeeded' || phase === 'Failed' || !hasSidecar(pod)) return undefined
  const { metadata } = pod
  return { key: objectKey(metadata), namespace: metadata.namespace ?? '', node: nodeName }
}

function groupOf({ namespace, node }: Place): string {
  return `${namespace} ${node}`
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)].sort()
}
