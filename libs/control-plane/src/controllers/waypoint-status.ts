import {
  type Condition,
  conditionsOf,
  ingressUseWaypoint,
  objectKey,
  type Resource,
  setCondition,
} from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import type { MeshConfig } from '../mesh-config.ts'
import {
  GATEWAY_CLASSES,
  GATEWAYS,
  NAMESPACES,
  SERVICE_ENTRIES,
  SERVICES,
  type StoredKinds,
  WORKLOAD_ENTRIES,
} from '../stored-kinds.ts'
import { attachedTo } from '../translate/dependencies.ts'
import { entryVisibility } from '../translate/entry-visibility.ts'
import { serviceWaypoint, type WaypointAttachment, waypointAttachment } from '../translate/waypoint-attachment.ts'
import type { Change, Controller } from './controller.ts'
import { forEach } from './controller.ts'

const WAYPOINT_BOUND = 'istio.io/WaypointBound'
const KINDS = [SERVICES, SERVICE_ENTRIES, WORKLOAD_ENTRIES] as const
type BoundKind = (typeof KINDS)[number]

type Finding = Pick<Condition, 'status' | 'reason' | 'message'>
type Reader = Pick<Cluster, 'get' | 'list'> & { readonly mesh: MeshConfig }

/** Tells the owner of a Service, ServiceEntry or WorkloadEntry which waypoint it has, or why it has none. */
export class WaypointStatusController implements Controller {
  readonly name = 'waypoint-status'
  readonly watches = {
    ...Object.fromEntries(KINDS.map((kind) => [kind, ({ object }: Change) => [jobKey(kind, object)]])),
    [NAMESPACES]: ({ object }: Change) => this.#jobs((kind) => this.#cluster.list(kind, object.metadata.name)),
    [GATEWAYS]: ({ object }: Change) => this.#attached([object]),
    [GATEWAY_CLASSES]: ({ object }: Change) =>
      this.#attached(
        this.#cluster.list(GATEWAYS).filter(({ spec }) => spec?.gatewayClassName === object.metadata.name),
      ),
  }
  readonly #cluster: Cluster
  readonly #reader: Reader

  constructor({ cluster }: { readonly cluster: Cluster }, mesh: MeshConfig) {
    this.#cluster = cluster
    this.#reader = { get: (type, key) => cluster.get(type, key), list: (type, of) => cluster.list(type, of), mesh }
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) => {
      const [kind = '', objectKeyText = ''] = key.split(' ')
      return this.#cluster.update(kind as BoundKind, objectKeyText, (object: StoredKinds[BoundKind]) => {
        const conditions = this.#conditions(kind as BoundKind, object)
        if (conditions === conditionsOf(object)) return object
        return { ...object, status: { ...(object.status as object | undefined), conditions } } as StoredKinds[BoundKind]
      })
    })
  }

  #conditions(kind: BoundKind, object: Resource): readonly Condition[] {
    const conditions = conditionsOf(object)
    const bound = waypointBound(kind, object, this.#reader)
    if (bound) return setCondition(conditions, { type: WAYPOINT_BOUND, ...bound }, this.#cluster.clock)
    const others = conditions.filter(({ type }) => type !== WAYPOINT_BOUND)
    return others.length === conditions.length ? conditions : others
  }

  #attached(gateways: readonly Resource[]): string[] {
    return KINDS.flatMap((kind) =>
      gateways.flatMap((gateway) => attachedTo(kind, gateway, this.#reader).map((key) => `${kind} ${key}`)),
    )
  }

  #jobs(list: (kind: BoundKind) => readonly Resource[]): string[] {
    return KINDS.flatMap((kind) => list(kind).map((object) => jobKey(kind, object)))
  }
}

function jobKey(kind: BoundKind, object: Resource): string {
  return `${kind} ${objectKey(object.metadata)}`
}

/** As istiod words it; undefined for an object that asks for no waypoint. */
export function waypointBound(
  kind: BoundKind,
  object: Resource,
  view: Pick<Reader, 'get' | 'mesh'>,
): Finding | undefined {
  if (kind === WORKLOAD_ENTRIES) return findingOf(waypointAttachment(view, object, 'workload'), '')
  const namespace = view.get(NAMESPACES, object.metadata.namespace ?? '')
  const visibility =
    kind === SERVICE_ENTRIES ? entryVisibility(view.mesh.serviceEntryVisibility, namespace) : ('PUBLIC' as const)
  const ingress = ingressUseWaypoint(object.metadata.labels, namespace?.metadata.labels)
  return findingOf(serviceWaypoint(view, object, visibility), ingressText(ingress))
}

function findingOf({ waypoint, finding }: WaypointAttachment, ingress: string): Finding | undefined {
  if (finding) return { status: 'False', ...finding }
  if (!waypoint) return undefined
  const message = `Successfully attached to waypoint ${waypoint.namespace}/${waypoint.name}${ingress}`
  return { status: 'True', reason: 'WaypointAccepted', message }
}

function ingressText(uses: boolean | undefined): string {
  if (uses === undefined) return ''
  return uses
    ? '. Ingress traffic will traverse the waypoint'
    : '. Ingress traffic is not using the waypoint, set the istio.io/ingress-use-waypoint label to true if desired.'
}
