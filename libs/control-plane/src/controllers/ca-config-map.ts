import type { ConfigMap } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import type { MeshAuthority } from '../mesh-authority.ts'
import { CONFIG_MAPS, NAMESPACES, SECRETS } from '../stored-kinds.ts'
import { type Change, type Controller, forEach, itself } from './controller.ts'

/** istiod's, in every namespace. */
const ROOTS = { name: 'istio-ca-root-cert', key: 'root-cert.pem' } as const
const REVOCATION_LISTS = { name: 'istio-ca-crl', key: 'ca-crl.pem' } as const

/** Keeps the roots of the mesh, and what was taken back, where programs of a cluster look for them. */
export class CaConfigMapController implements Controller {
  readonly name = 'ca-config-map'
  readonly watches = {
    [NAMESPACES]: itself,
    [CONFIG_MAPS]: ({ object: { metadata } }: Change) =>
      metadata.name === ROOTS.name || metadata.name === REVOCATION_LISTS.name ? [metadata.namespace!] : [],
    [SECRETS]: ({ object: { metadata } }: Change) =>
      `${metadata.namespace}/${metadata.name}` === this.#mesh.key
        ? this.#cluster.list(NAMESPACES).map((namespace) => namespace.metadata.name)
        : [],
  }
  readonly #cluster: Cluster
  readonly #mesh: Pick<MeshAuthority, 'current' | 'key'>

  constructor({ cluster, mesh }: { readonly cluster: Cluster; readonly mesh: Pick<MeshAuthority, 'current' | 'key'> }) {
    this.#cluster = cluster
    this.#mesh = mesh
  }

  reconcile(keys: readonly string[]): Promise<void> {
    const { authority, revocationLists } = this.#mesh.current
    const roots = authority.rootsPem.join('')
    const lists = revocationLists.map(({ pem }) => pem).join('')
    return forEach(keys, async (namespace) => {
      const found = this.#cluster.get(NAMESPACES, namespace)
      if (!found || found.metadata.deletionTimestamp) return
      await Promise.all([this.#keep(namespace, ROOTS, roots), this.#keep(namespace, REVOCATION_LISTS, lists)])
    })
  }

  /** @param text empty: there shall be none */
  async #keep(namespace: string, { name, key }: { name: string; key: string }, text: string): Promise<void> {
    const stored = this.#cluster.get(CONFIG_MAPS, `${namespace}/${name}`)
    if (text === '') {
      if (stored) await this.#cluster.remove(CONFIG_MAPS, `${namespace}/${name}`, stored.metadata.uid)
    } else if (!stored) {
      const metadata = { name, namespace, labels: { 'istio.io/config': 'true' } }
      await this.#cluster.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [key]: text } })
    } else if (stored.data?.[key] !== text) {
      await this.#cluster.update(CONFIG_MAPS, `${namespace}/${name}`, (current: ConfigMap) => ({
        ...current,
        data: { ...current.data, [key]: text },
      }))
    }
  }
}
