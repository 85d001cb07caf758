import { conditionsOf, setCondition } from '@ambient-lab/api'
import type { Cluster } from '../cluster.ts'
import { BUILTIN_CLASSES, classAccepted } from '../gateways/gateway-classes.ts'
import { GATEWAY_CLASSES } from '../stored-kinds.ts'
import { type Change, type Controller, forEach } from './controller.ts'

/** Writes the GatewayClasses that every mesh has, makes those anew that somebody deleted, and accepts the ones of ours. */
export class GatewayClassController implements Controller {
  readonly name = 'gateway-class'
  readonly watches = { [GATEWAY_CLASSES]: ({ object }: Change) => [object.metadata.name] }
  readonly #cluster: Cluster

  constructor(components: { cluster: Cluster }) {
    this.#cluster = components.cluster
  }

  reconcile(keys: readonly string[]): Promise<void> {
    return forEach(keys, async (key) => {
      await createBuiltinClass(this.#cluster, key)
      await this.#accept(key)
    })
  }

  async #accept(key: string): Promise<void> {
    await this.#cluster.update(GATEWAY_CLASSES, key, (gatewayClass) => {
      const accepted = classAccepted(gatewayClass)
      if (!accepted) return gatewayClass
      const conditions = setCondition(conditionsOf(gatewayClass), accepted, this.#cluster.clock)
      return conditions === conditionsOf(gatewayClass)
        ? gatewayClass
        : { ...gatewayClass, status: { ...gatewayClass.status, conditions } }
    })
  }
}

/** Writes the classes of a new lab. */
export async function createGatewayClasses(cluster: Cluster): Promise<void> {
  await Promise.all(BUILTIN_CLASSES.map(({ name }) => createBuiltinClass(cluster, name)))
}

async function createBuiltinClass(cluster: Cluster, name: string): Promise<void> {
  const builtin = BUILTIN_CLASSES.find((one) => one.name === name)
  if (!builtin || cluster.get(GATEWAY_CLASSES, name)) return
  const { controllerName, description } = builtin
  await cluster.create(GATEWAY_CLASSES, {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'GatewayClass',
    metadata: { name },
    spec: { controllerName, description },
  })
}
