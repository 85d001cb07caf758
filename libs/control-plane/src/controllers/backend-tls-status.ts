import { type BackendTlsPolicy, type Condition, objectKey, type Resource, setCondition } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import { backendTlsFindings } from '../gateways/backend-tls-status.ts'
import { GATEWAY_CONTROLLER, MESH_CONTROLLER } from '../gateways/gateway-classes.ts'
import { BACKEND_TLS_POLICIES, CONFIG_MAPS, GATEWAYS } from '../stored-kinds.ts'
import { backendIds, ROUTE_KINDS } from '../translate/route-index.ts'
import type { TranslationView } from '../translate/view.ts'
import { type Change, type Controller, forEach } from './controller.ts'
import { statesOf } from './gateway-status.ts'

type AncestorStatus = NonNullable<NonNullable<BackendTlsPolicy['status']>['ancestors']>[number]

const OURS: ReadonlySet<string> = new Set([GATEWAY_CONTROLLER, MESH_CONTROLLER])

/** Tells the author of a BackendTLSPolicy whether proxies can do as it says, and for which Gateways it counts. */
export class BackendTlsStatusController implements Controller {
  readonly name = 'backend-tls-status'
  readonly watches: Controller['watches']
  readonly #cluster: Cluster
  readonly #view: TranslationView

  constructor(components: { cluster: Cluster; view: TranslationView }) {
    this.#cluster = components.cluster
    this.#view = components.view
    const ofNamespace = ({ object }: Change) => this.#policiesOf(object.metadata.namespace)
    this.watches = {
      // Another of the same target may have become the oldest.
      [BACKEND_TLS_POLICIES]: ofNamespace,
      [CONFIG_MAPS]: ofNamespace,
      [GATEWAYS]: () => this.#policiesOf(undefined),
      ...Object.fromEntries(ROUTE_KINDS.map((type) => [type, (change: Change) => this.#policiesOfBackends(change)])),
    }
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) =>
      this.#cluster.update(BACKEND_TLS_POLICIES, key, (policy) => {
        const before = policy.status?.ancestors ?? []
        const foreign = before.filter(({ controllerName }) => !OURS.has(controllerName))
        const ancestors = [...foreign, ...this.#ancestors(policy, before)]
        return JSON.stringify(ancestors) === JSON.stringify(before)
          ? policy
          : { ...policy, status: { ...policy.status, ancestors } }
      }),
    )
  }

  #ancestors(policy: BackendTlsPolicy, before: readonly AncestorStatus[]): AncestorStatus[] {
    return backendTlsFindings(policy, this.#view).map((found) => {
      const known = before.find(({ ancestorRef }) => JSON.stringify(ancestorRef) === JSON.stringify(found.ancestorRef))
      const conditions = found.conditions.reduce<readonly Condition[]>(
        (all, finding) => setCondition(all, finding, this.#cluster.clock),
        known?.conditions ?? [],
      )
      return { ...found, conditions }
    })
  }

  #policiesOf(namespace: string | undefined): string[] {
    return this.#cluster.list(BACKEND_TLS_POLICIES, namespace).map(({ metadata }) => objectKey(metadata))
  }

  /** Of the namespaces that a route sends to, before and after. */
  #policiesOfBackends(change: Change): string[] {
    const ids = statesOf<Resource>(change).flatMap(backendIds)
    const namespaces = new Set(ids.map((id) => id.slice(id.indexOf(' ') + 1).split('/')[0]!))
    return [...namespaces].flatMap((namespace) => this.#policiesOf(namespace))
  }
}
