import type { Gateway, ObjectMeta } from '@ambient-lab/api'
import type { BuiltinClass } from './gateway-classes.ts'

const NAME_OVERRIDE = 'gateway.istio.io/name-override'
const SERVICE_ACCOUNT = 'gateway.istio.io/service-account'

/** Of the Deployment and the Service of a Gateway: `<gateway>` for a waypoint, `<gateway>-istio` for an ingress. */
export function deployedName({ metadata, spec }: Gateway, builtin: BuiltinClass): string {
  const override = metadata.annotations?.[NAME_OVERRIDE]
  if (override) return override
  return builtin.bareNames ? metadata.name : `${metadata.name}-${spec?.gatewayClassName}`
}

/** What its proxies are in the mesh. */
export function deployedAccount(gateway: Gateway, builtin: BuiltinClass): string {
  return gateway.metadata.annotations?.[SERVICE_ACCOUNT] || deployedName(gateway, builtin)
}

/** Whether the control plane runs proxies for a Gateway: not for one that names addresses which are there already. */
export function isDeployed({ spec, metadata }: Gateway): boolean {
  if (metadata.deletionTimestamp) return false
  const [address, ...others] = spec?.addresses ?? []
  return address === undefined || (others.length === 0 && (address.type ?? 'IPAddress') === 'IPAddress')
}

/** On the pods and the Service of a Gateway: `namespace/name` of it, of an object that carries its label. */
export function gatewayKeyOf({ namespace, labels }: Pick<ObjectMeta, 'namespace' | 'labels'>): string | undefined {
  const name = labels?.['gateway.networking.k8s.io/gateway-name']
  return name === undefined ? undefined : `${namespace ?? ''}/${name}`
}
