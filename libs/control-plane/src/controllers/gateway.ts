import {
  applyDefaults,
  type ConfigMap,
  findKind,
  type Gateway,
  isConditionTrue,
  objectKey,
  parseYaml,
  type Resource,
} from '@ambient-lab/api'
import { CodedError } from '@ambient-lab/std'
import { applyConfiguration, strategicMergePatch } from '../api-server/index.ts'
import { type Cluster, sameContent } from '../cluster.ts'
import type { BuiltinClass } from '../gateways/gateway-classes.ts'
import { type GatewayDeployment, gatewayDeployment } from '../gateways/gateway-deployment.ts'
import { gatewayKeyOf, isDeployed } from '../gateways/gateway-names.ts'
import type { MeshConfig } from '../mesh-config.ts'
import { classOfGateway } from '../routing/gateway-listeners.ts'
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  GATEWAY_CLASSES,
  GATEWAYS,
  type KnownType,
  SERVICE_ACCOUNTS,
  SERVICES,
  type StoredKinds,
} from '../stored-kinds.ts'
import { type Change, type Controller, forEach, itself, ownedBy } from './controller.ts'

const DEFAULTS_LABEL = 'gateway.istio.io/defaults-for-class'

/** Gateway → the service account, Deployment and Service of the proxies that stand for it. */
export class GatewayController implements Controller {
  readonly name = 'gateway'
  readonly watches = {
    [GATEWAYS]: itself,
    [GATEWAY_CLASSES]: ({ object }: Change) =>
      this.#keysWhere(({ spec }) => spec?.gatewayClassName === object.metadata.name),
    [CONFIG_MAPS]: ({ object }: Change) => this.#keysWhere((gateway) => this.#reads(gateway, object)),
    // What others changed or removed of ours is made as it has to be.
    [SERVICE_ACCOUNTS]: ownedBy('Gateway'),
    [DEPLOYMENTS]: ownedBy('Gateway'),
    [SERVICES]: ownedBy('Gateway'),
  }
  readonly #cluster: Cluster
  readonly #rootNamespace: string

  constructor(components: { cluster: Cluster }, { rootNamespace }: Pick<MeshConfig, 'rootNamespace'>) {
    this.#cluster = components.cluster
    this.#rootNamespace = rootNamespace
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, (key) => this.#reconcile(key))
  }

  async #reconcile(key: string): Promise<void> {
    const gateway = this.#cluster.get(GATEWAYS, key)
    const builtin = gateway && classOfGateway(gateway, this.#cluster)
    if (!gateway || !builtin || builtin.proxy === 'remote' || !isDeployed(gateway)) return
    const { controllerName } = builtin
    const wanted = await this.#wanted(gateway, builtin)
    await Promise.all([
      this.#put(SERVICE_ACCOUNTS, wanted.serviceAccount as StoredKinds[typeof SERVICE_ACCOUNTS], controllerName),
      this.#put(DEPLOYMENTS, wanted.deployment, controllerName),
      this.#put(SERVICES, wanted.service, controllerName),
    ])
  }

  /** The template's objects with what ConfigMaps say laid over them: that of the class, then that of the Gateway. */
  async #wanted(gateway: Gateway, builtin: BuiltinClass): Promise<GatewayDeployment> {
    let wanted = gatewayDeployment(gateway, builtin)
    for (const { data = {} } of this.#parameters(gateway)) {
      wanted = {
        serviceAccount: await overlaid(wanted.serviceAccount, data.serviceAccount),
        deployment: await overlaid(wanted.deployment, data.deployment),
        service: await overlaid(wanted.service, data.service),
      }
    }
    return wanted
  }

  #parameters({ metadata, spec }: Gateway): ConfigMap[] {
    const ofClass = this.#cluster
      .list(CONFIG_MAPS, this.#rootNamespace)
      .filter((map) => map.metadata.labels?.[DEFAULTS_LABEL] === spec?.gatewayClassName)
    const reference = spec?.infrastructure?.parametersRef
    const own =
      reference?.kind === 'ConfigMap'
        ? this.#cluster.get(CONFIG_MAPS, `${metadata.namespace}/${reference.name}`)
        : undefined
    return [...ofClass, ...(own ? [own] : [])]
  }

  #reads({ metadata, spec }: Gateway, map: Resource): boolean {
    if (map.metadata.labels?.[DEFAULTS_LABEL] === spec?.gatewayClassName) return true
    const reference = spec?.infrastructure?.parametersRef
    return reference?.name === map.metadata.name && metadata.namespace === map.metadata.namespace
  }

  #keysWhere(holds: (gateway: Gateway) => boolean): string[] {
    return this.#cluster
      .list(GATEWAYS)
      .filter(holds)
      .map(({ metadata }) => objectKey(metadata))
  }

  /**
   * Server-side apply, as Istio's controller does it: what the template says is ours and is put back, everything else
   * (replicas, the annotation of a restart, a HorizontalPodAutoscaler's work) is others' and stays.
   */
  async #put<T extends KnownType>(type: T, wanted: StoredKinds[T], manager: string): Promise<void> {
    const key = objectKey(wanted.metadata)
    const options = { manager, nowMs: this.#cluster.clock.now() }
    const apply = (stored?: StoredKinds[T]) => {
      return defaulted(applyConfiguration(stored, wanted, options)) as StoredKinds[T]
    }
    const current = this.#cluster.get(type, key)
    if (!current) {
      await this.#cluster.create(type, apply())
      return
    }
    // An object of that name which is somebody else's stays theirs.
    if (gatewayKeyOf(current.metadata) !== gatewayKeyOf(wanted.metadata)) return
    await this.#cluster.update(type, key, (stored) => unlessSame(stored, apply(stored)))
  }
}

/** The API server's defaults: what nobody says is stored as what it means. */
function defaulted(object: Resource): Resource {
  return applyDefaults(findKind(object)!, object)
}

/** The stored object itself where nothing changed, and its spec where that did not: neither is a new generation. */
function unlessSame<R extends Resource>(stored: R, next: R): R {
  if (sameContent(stored, next)) return stored
  return sameContent(stored.spec, next.spec) ? { ...next, spec: stored.spec } : next
}

/** A text that is no YAML changes nothing: the Gateway's proxies go on as they are. */
async function overlaid<R extends Resource>(object: R, text: string | undefined): Promise<R> {
  if (!text) return object
  try {
    return strategicMergePatch(object, await parseYaml(text)) as R
  } catch (error) {
    if (CodedError.is(error)) return object
    throw error
  }
}

/** Whether a pod of a Gateway's proxies takes traffic. */
export function isReadyReplica(pod: Resource): boolean {
  return isConditionTrue(pod, 'Ready') && pod.metadata.deletionTimestamp === undefined
}
