import { KINDS, type Resource } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import { terminatePod } from '../pod-termination.ts'
import type { StoreType } from '../store/store.ts'
import { type KnownType, NAMESPACES, PODS, SERVICE_ACCOUNTS } from '../stored-kinds.ts'
import { type Change, type Controller, forEach, itself } from './controller.ts'

/** Those that every cluster has; Istio's own is the mesh's root namespace. */
const INITIAL_NAMESPACES = ['default', 'istio-system', 'kube-system']
const NAME_LABEL = 'kubernetes.io/metadata.name'

const NAMESPACED_TYPES: readonly StoreType[] = KINDS.filter(
  ({ scope, virtual }) => scope === 'Namespaced' && !virtual,
).map(({ group, plural }) => `${group}/${plural}` as StoreType)

/** Writes the namespaces of a new lab. */
export async function createInitialNamespaces(cluster: Cluster): Promise<void> {
  const missing = INITIAL_NAMESPACES.filter((name) => !cluster.get(NAMESPACES, name))
  await Promise.all(
    missing.flatMap((name) => [
      cluster.create(NAMESPACES, {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name, labels: { [NAME_LABEL]: name } },
        status: { phase: 'Active' },
      }),
      createDefaultAccount(cluster, name),
    ]),
  )
}

/** Labels namespaces with their name, gives them their default service account, and empties those that are deleted. */
export class NamespaceController implements Controller {
  readonly name = 'namespace'
  readonly watches = {
    [NAMESPACES]: itself,
    [SERVICE_ACCOUNTS]: ({ object, operation }: Change) =>
      operation === 'deleted' && object.metadata.name === 'default' ? [object.metadata.namespace!] : [],
  }
  readonly #cluster: Cluster

  constructor(components: { cluster: Cluster }) {
    this.#cluster = components.cluster
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) => this.#reconcile(key))
  }

  async #reconcile(name: string): Promise<void> {
    const namespace = this.#cluster.get(NAMESPACES, name)
    if (!namespace || namespace.metadata.deletionTimestamp) {
      await this.#empty(name)
      if (namespace) await this.#cluster.remove(NAMESPACES, name, namespace.metadata.uid)
      return
    }
    const labelled = namespace.metadata.labels?.[NAME_LABEL] === name && namespace.status?.phase === 'Active'
    await Promise.all([
      createDefaultAccount(this.#cluster, name),
      labelled ||
        this.#cluster.update(NAMESPACES, name, (current) => ({
          ...current,
          metadata: { ...current.metadata, labels: { ...current.metadata.labels, [NAME_LABEL]: name } },
          status: { ...current.status, phase: 'Active' },
        })),
    ])
  }

  /** What was deployed goes before the pods it would make anew; all in one transaction. */
  async #empty(namespace: string): Promise<void> {
    const writes = NAMESPACED_TYPES.flatMap((type) =>
      (this.#cluster.list(type as KnownType, namespace) as readonly Resource[]).map((object) =>
        type === PODS
          ? terminatePod(this.#cluster, object as never)
          : this.#cluster.remove(type, `${namespace}/${object.metadata.name}`, object.metadata.uid),
      ),
    )
    await Promise.all(writes)
  }
}

async function createDefaultAccount(cluster: Cluster, namespace: string): Promise<void> {
  if (cluster.get(SERVICE_ACCOUNTS, `${namespace}/default`)) return
  await cluster.create(SERVICE_ACCOUNTS, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default', namespace },
  })
}
