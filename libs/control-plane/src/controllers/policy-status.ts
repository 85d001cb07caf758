import { type AuthorizationPolicy, type Condition, conditionsOf, setCondition } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import { AUTHORIZATION_POLICIES } from '../stored-kinds.ts'
import { convertAuthorizationPolicy, hasTarget, type L4PolicyMesh } from '../translate/authorization.ts'
import { type Controller, forEach, itself } from './controller.ts'

const ZTUNNEL_ACCEPTED = 'ZtunnelAccepted'

/** Tells the author of a policy what ztunnel makes of it. */
export class PolicyStatusController implements Controller {
  readonly name = 'policy-status'
  readonly watches = { [AUTHORIZATION_POLICIES]: itself }
  readonly #cluster: Cluster
  readonly #mesh: L4PolicyMesh

  constructor(components: { cluster: Cluster }, mesh: L4PolicyMesh) {
    this.#cluster = components.cluster
    this.#mesh = mesh
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) =>
      this.#cluster.update(AUTHORIZATION_POLICIES, key, (policy) => {
        const conditions = this.#conditions(policy)
        return conditions === conditionsOf(policy)
          ? policy
          : { ...policy, status: { ...(policy.status as object), conditions } }
      }),
    )
  }

  /** A policy with a target is a waypoint's: ztunnel has nothing to say about it. */
  #conditions(policy: AuthorizationPolicy): readonly Condition[] {
    const conditions = conditionsOf(policy)
    if (hasTarget(policy)) {
      const others = conditions.filter(({ type }) => type !== ZTUNNEL_ACCEPTED)
      return others.length === conditions.length ? conditions : others
    }
    return setCondition(conditions, ztunnelAccepted(policy, this.#mesh), this.#cluster.clock)
  }
}

/** As istiod writes it: a policy of which a part is enforced is accepted, with the reason that says what is not. */
export function ztunnelAccepted(
  policy: AuthorizationPolicy,
  mesh: L4PolicyMesh,
): Omit<Condition, 'lastTransitionTime'> {
  const { authorization, finding } = convertAuthorizationPolicy(policy, mesh)
  return {
    type: ZTUNNEL_ACCEPTED,
    status: authorization ? 'True' : 'False',
    reason: finding?.reason ?? 'Accepted',
    message: finding?.message ?? 'attached to ztunnel',
    observedGeneration: policy.metadata.generation ?? 1,
  }
}
