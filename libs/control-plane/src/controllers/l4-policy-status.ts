import { type Condition, conditionsOf, type L4TrafficPolicy, objectKey, setCondition } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import { L4_TRAFFIC_POLICIES, SERVICES } from '../stored-kinds.ts'
import { l4PolicyOf } from '../translate/l4-traffic.ts'
import { type Change, type Controller, forEach } from './controller.ts'

const ONLY_HERE = 'Only the lab’s ztunnel does this: Istio’s ztunnel has no such policy.'

/** Tells the author of an L4TrafficPolicy whether it counts, and that no real ztunnel would follow it. */
export class L4PolicyStatusController implements Controller {
  readonly name = 'l4-policy-status'
  readonly watches = {
    // Another policy, or a service, of the namespace decides as well.
    [L4_TRAFFIC_POLICIES]: (change: Change) => this.#inNamespaceOf(change),
    [SERVICES]: (change: Change) => this.#inNamespaceOf(change),
  }
  readonly #cluster: Cluster

  constructor({ cluster }: { readonly cluster: Cluster }) {
    this.#cluster = cluster
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) =>
      this.#cluster.update(L4_TRAFFIC_POLICIES, key, (policy) => {
        const conditions = setCondition(conditionsOf(policy), this.#accepted(policy), this.#cluster.clock)
        return conditions === conditionsOf(policy)
          ? policy
          : { ...policy, status: { ...(policy.status as object | undefined), conditions } }
      }),
    )
  }

  #inNamespaceOf({ object }: Change): string[] {
    return this.#cluster.list(L4_TRAFFIC_POLICIES, object.metadata.namespace).map(({ metadata }) => objectKey(metadata))
  }

  #accepted(policy: L4TrafficPolicy): Omit<Condition, 'lastTransitionTime'> {
    const { namespace = '', name, generation = 1 } = policy.metadata
    const of = (status: 'True' | 'False', reason: string, message: string) => ({
      ...{ type: 'Accepted', status, reason, observedGeneration: generation },
      message: `${message} ${ONLY_HERE}`,
    })
    for (const target of policy.spec?.targetRefs ?? []) {
      const service = this.#cluster.get(SERVICES, `${namespace}/${target.name}`)
      if (!service) return of('False', 'TargetNotFound', `Service ${namespace}/${target.name} was not found.`)
      const counting = l4PolicyOf(this.#cluster, service)
      if (counting && counting.metadata.name !== name) {
        const whose = `Service ${namespace}/${target.name} has the older L4TrafficPolicy ${counting.metadata.name}.`
        return of('False', 'Conflicted', whose)
      }
    }
    return of('True', 'Accepted', 'Followed by the ztunnels of the callers.')
  }
}
