import type { GatewayClass } from '../stored-kinds.ts'
import type { Finding } from './gateway-status.ts'

/** A class of Gateways that the control plane itself serves. */
export interface BuiltinClass {
  readonly name: string
  readonly controllerName: string
  readonly description: string
  /** `remote`: of another cluster, and nothing here runs or configures it. */
  readonly proxy: 'gateway' | 'waypoint' | 'east-west' | 'remote'
  /** What it makes is named after the Gateway alone, not `<gateway>-<class>`. */
  readonly bareNames: boolean
  readonly listenerSets: boolean
}

export const GATEWAY_CONTROLLER = 'istio.io/gateway-controller'
export const MESH_CONTROLLER = 'istio.io/mesh-controller'
export const EAST_WEST_CONTROLLER = 'istio.io/eastwest-controller'

const REMOTE_CONTROLLER = 'istio.io/unmanaged-gateway'

/** @see reference: istio/istio pilot/pkg/config/kube/gateway, builtinClasses */
export const BUILTIN_CLASSES: readonly BuiltinClass[] = [
  {
    name: 'istio',
    controllerName: GATEWAY_CONTROLLER,
    description: 'The default Istio GatewayClass',
    proxy: 'gateway',
    bareNames: false,
    listenerSets: true,
  },
  {
    name: 'istio-waypoint',
    controllerName: MESH_CONTROLLER,
    description: 'The default Istio waypoint GatewayClass',
    proxy: 'waypoint',
    bareNames: true,
    listenerSets: false,
  },
  {
    name: 'istio-east-west',
    controllerName: EAST_WEST_CONTROLLER,
    description: 'The default GatewayClass for Istio East West Gateways',
    proxy: 'east-west',
    bareNames: true,
    listenerSets: false,
  },
  {
    name: 'istio-remote',
    controllerName: REMOTE_CONTROLLER,
    description: 'Remote to this cluster. Does not deploy or affect configuration.',
    proxy: 'remote',
    bareNames: false,
    listenerSets: false,
  },
]

const BY_CONTROLLER = new Map(BUILTIN_CLASSES.map((builtin) => [builtin.controllerName, builtin]))
const BY_NAME = new Map(BUILTIN_CLASSES.map((builtin) => [builtin.name, builtin]))

/**
 * What serves the Gateways of a class; undefined: somebody else. A class that nobody wrote counts by its name.
 * @param gatewayClass the object of that name, if there is one
 */
export function builtinClassOf(name: string, gatewayClass: GatewayClass | undefined): BuiltinClass | undefined {
  if (!gatewayClass) return BY_NAME.get(name)
  return BY_CONTROLLER.get(gatewayClass.spec?.controllerName ?? '')
}

/** What the status of a class has to say; undefined: somebody else serves it. */
export function classAccepted(gatewayClass: GatewayClass): Finding | undefined {
  if (!builtinClassOf(gatewayClass.metadata.name, gatewayClass)) return undefined
  return {
    type: 'Accepted',
    status: 'True',
    reason: 'Accepted',
    message: 'Handled by Istio controller',
    observedGeneration: gatewayClass.metadata.generation ?? 1,
  }
}
