import { type Condition, conditionsOf, objectKey, type Resource, setCondition } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import { waypointAccepted } from '../gateways/waypoint-accepted.ts'
import {
  AUTHORIZATION_POLICIES,
  GATEWAY_CLASSES,
  GATEWAYS,
  NAMESPACES,
  RATE_LIMIT_POLICIES,
  REQUEST_AUTHENTICATIONS,
  SERVICE_ENTRIES,
  SERVICES,
} from '../stored-kinds.ts'
import type { TranslationView } from '../translate/view.ts'
import { type Change, type Controller, forEach } from './controller.ts'

const KINDS = [AUTHORIZATION_POLICIES, REQUEST_AUTHENTICATIONS, RATE_LIMIT_POLICIES] as const
type PolicyKind = (typeof KINDS)[number]

const WAYPOINT_ACCEPTED = 'WaypointAccepted'

/** Tells the author of a policy with targets which waypoints enforce it, or why none does. */
export class WaypointPolicyStatusController implements Controller {
  readonly name = 'waypoint-policy-status'
  readonly watches = {
    ...Object.fromEntries(KINDS.map((kind) => [kind, ({ object }: Change) => [jobKey(kind, object)]])),
    [SERVICES]: ({ object }: Change) => this.#targeting([`Service ${objectKey(object.metadata)}`]),
    [SERVICE_ENTRIES]: ({ object }: Change) => this.#targeting([`ServiceEntry ${objectKey(object.metadata)}`]),
    [GATEWAY_CLASSES]: ({ object }: Change) => this.#targeting([`GatewayClass ${object.metadata.name}`]),
    // The services of a waypoint may be anywhere: whoever has a target at all is asked again.
    [GATEWAYS]: () => this.#all(),
    [NAMESPACES]: ({ object }: Change) => this.#all(object.metadata.name),
  }
  readonly #cluster: Cluster
  readonly #view: TranslationView

  constructor(components: { cluster: Cluster; view: TranslationView }) {
    this.#cluster = components.cluster
    this.#view = components.view
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (job) => {
      const [kind = '', key = ''] = job.split(' ')
      return this.#cluster.update(kind as PolicyKind, key, (policy: Resource) => {
        const conditions = this.#conditions(policy)
        if (conditions === conditionsOf(policy)) return policy as never
        return { ...policy, status: { ...(policy.status as object | undefined), conditions } } as never
      })
    })
  }

  #conditions(policy: Resource): readonly Condition[] {
    const conditions = conditionsOf(policy)
    const finding = waypointAccepted(policy, this.#view)
    if (finding) return setCondition(conditions, finding, this.#cluster.clock)
    const others = conditions.filter(({ type }) => type !== WAYPOINT_ACCEPTED)
    return others.length === conditions.length ? conditions : others
  }

  #targeting(targets: readonly string[]): string[] {
    return KINDS.flatMap((kind) =>
      targets.flatMap((target) => this.#view.targets.targeting(kind, target).map((policy) => jobKey(kind, policy))),
    )
  }

  #all(namespace?: string): string[] {
    return KINDS.flatMap((kind) =>
      (this.#cluster.list(kind, namespace) as readonly Resource[]).map((policy) => jobKey(kind, policy)),
    )
  }
}

function jobKey(kind: PolicyKind, policy: Resource): string {
  return `${kind} ${objectKey(policy.metadata)}`
}
