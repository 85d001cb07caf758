import {
  type Condition,
  type Gateway,
  type GatewayStatus,
  type ListenerSet,
  objectKey,
  type Resource,
  setCondition,
} from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import { gatewayKeyOf } from '../gateways/gateway-names.ts'
import { type GatewayServices, gatewayServiceOf } from '../gateways/gateway-services.ts'
import {
  type Finding,
  gatewayFindings,
  type ListenerFindings,
  listenerSetFindings,
} from '../gateways/gateway-status.ts'
import { parentOfSet } from '../routing/route-attachment.ts'
import {
  CONFIG_MAPS,
  ENDPOINT_SLICES,
  GATEWAY_CLASSES,
  GATEWAYS,
  LISTENER_SETS,
  NAMESPACES,
  PODS,
  REFERENCE_GRANTS,
  SECRETS,
  SERVICES,
} from '../stored-kinds.ts'
import { gatewaysAdmitting, gatewaysUsing } from '../translate/gateway-dependencies.ts'
import { ofGatewayClass, parentsOfRoute } from '../translate/l7-dependencies.ts'
import type { Touched } from '../translate/translation.ts'
import type { TranslationView } from '../translate/view.ts'
import { type Change, type Controller, forEach, itself } from './controller.ts'
import { isReadyReplica } from './gateway.ts'

type ListenerStatus = NonNullable<GatewayStatus['listeners']>[number]

/** Tells the owner of a Gateway or a ListenerSet what became of it. Keys are Gateways': their sets go with them. */
export class GatewayStatusController implements Controller {
  readonly name = 'gateway-status'
  readonly watches: Controller['watches']
  readonly #cluster: Cluster
  readonly #view: TranslationView

  constructor(components: { cluster: Cluster; view: TranslationView }) {
    this.#cluster = components.cluster
    this.#view = components.view
    const touch = (of: (change: Change, view: TranslationView) => Touched) => (change: Change) =>
      keysOf(of(change, this.#view))
    this.watches = {
      [GATEWAYS]: itself,
      [GATEWAY_CLASSES]: touch(ofGatewayClass),
      [LISTENER_SETS]: (change) => statesOf<ListenerSet>(change).map(parentOfSet),
      [NAMESPACES]: touch(gatewaysAdmitting),
      [SECRETS]: touch(gatewaysUsing),
      [CONFIG_MAPS]: touch(gatewaysUsing),
      [REFERENCE_GRANTS]: touch(gatewaysUsing),
      ...Object.fromEntries(Object.entries(parentsOfRoute('Gateway')).map(([type, of]) => [type, touch(of)])),
      [SERVICES]: (change) => this.#ofNamespace(change),
      [ENDPOINT_SLICES]: (change) => this.#ofNamespace(change),
      [PODS]: ({ object }) => [gatewayKeyOf(object.metadata)].flatMap((key) => key ?? []),
    }
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, async (key) => {
      const gateway = this.#cluster.get(GATEWAYS, key)
      const sets = this.#view.routes.listenerSetsOf(key)
      await Promise.all([
        gateway && this.#writeGateway(key),
        ...sets.map((set) => this.#writeSet(objectKey(set.metadata))),
      ])
    })
  }

  /** Services and their endpoints concern the Gateways beside them: rarely more than a few. */
  #ofNamespace({ object }: Change): string[] {
    return this.#cluster.list(GATEWAYS, object.metadata.namespace).map(({ metadata }) => objectKey(metadata))
  }

  async #writeGateway(key: string): Promise<void> {
    await this.#cluster.updateStatus(GATEWAYS, key, (gateway) => {
      const findings = gatewayFindings(gateway, this.#services(gateway), this.#view)
      if (!findings) return gateway.status ?? {}
      const { status = {} } = gateway
      const listeners = findings.listeners && this.#listeners(status.listeners ?? [], findings.listeners)
      // Whoever was told an address keeps it: users of a waypoint must fail, not go past it, while it is away.
      const addresses = findings.addresses.length > 0 ? findings.addresses : (status.addresses ?? [])
      return {
        ...(addresses.length > 0 && { addresses }),
        ...(findings.attachedListenerSets && { attachedListenerSets: findings.attachedListenerSets }),
        conditions: this.#conditions(status.conditions ?? [], findings.conditions),
        ...(listeners && { listeners }),
      }
    })
  }

  async #writeSet(key: string): Promise<void> {
    await this.#cluster.updateStatus(LISTENER_SETS, key, (set) => {
      const gateway = this.#cluster.get(GATEWAYS, parentOfSet(set))
      const findings = gateway && listenerSetFindings(set, this.#services(gateway), this.#view)
      if (!findings) return set.status ?? {}
      const before = (set.status ?? {}) as GatewayStatus
      const listeners = findings.listeners && this.#listeners(before.listeners ?? [], findings.listeners)
      return {
        conditions: this.#conditions(before.conditions ?? [], findings.conditions),
        ...(listeners && { listeners }),
      }
    })
  }

  #listeners(before: readonly ListenerStatus[], findings: readonly ListenerFindings[]): ListenerStatus[] {
    return findings.map((listener) => ({
      ...listener,
      conditions: this.#conditions(
        before.find(({ name }) => name === listener.name)?.conditions ?? [],
        listener.conditions,
      ),
    }))
  }

  /** What others wrote beside ours stays. */
  #conditions(before: readonly Condition[], findings: readonly Finding[]): readonly Condition[] {
    return findings.reduce((conditions, finding) => setCondition(conditions, finding, this.#cluster.clock), before)
  }

  #services({ metadata }: Gateway): GatewayServices {
    return (hostname) => {
      const [name = '', namespace = ''] = hostname.split('.')
      if (namespace !== metadata.namespace) return undefined
      const service = this.#cluster.get(SERVICES, `${namespace}/${name}`)
      if (!service) return undefined
      const selector = Object.entries(service.spec?.selector ?? {})
      const pods = this.#view.routes.replicasOf(objectKey(metadata))
      const selected = pods.filter((pod) => selector.every(([label, value]) => pod.metadata.labels?.[label] === value))
      return gatewayServiceOf(service, selected.some(isReadyReplica))
    }
  }
}

function keysOf(touched: Touched): Iterable<string> {
  return 'keys' in touched ? touched.keys : []
}

export function statesOf<T extends Resource>({ object, previous }: Change): T[] {
  return [object, previous].filter((state) => state !== undefined) as T[]
}
