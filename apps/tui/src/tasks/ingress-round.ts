import { type Gateway, type HttpRoute, objectKey, type Service } from '@ambient-lab/api'
import { boundCondition, type Enforcement, type EnforcementState, type SecurityPolicy } from './enforcement.ts'
import { guardedServices } from './proof-candidates.ts'

/** Classes whose Gateways let nobody in from outside of the mesh. */
const INNER_CLASSES: readonly string[] = ['istio-waypoint', 'istio-east-west']

/**
 * Ingress gateways, `namespace/name`, that send requests past the waypoint which the policy is enforced at: a route leads
 * from them to a service that does not ask for its waypoint on their way too (`istio.io/ingress-use-waypoint`). Pure.
 */
export function ingressRound(
  policy: SecurityPolicy,
  enforcement: Enforcement,
  state: EnforcementState,
): readonly string[] {
  if (enforcement.enforcedAt.length === 0) return []
  const passed = new Set(
    guardedServices(policy, enforcement, state)
      .filter(isPassed)
      .map(({ metadata }) => objectKey(metadata)),
  )
  const doors = new Set(
    state.gateways
      .filter(({ spec }) => !INNER_CLASSES.includes(spec?.gatewayClassName ?? ''))
      .map(({ metadata }: Gateway) => objectKey(metadata)),
  )
  const leading = state.routes.filter((route) => backendsOf(route).some((key) => passed.has(key)))
  return [...new Set(leading.flatMap(parentsOf))].filter((key) => doors.has(key)).sort()
}

/** What the control plane says of it. */
function isPassed(service: Service): boolean {
  return !/Ingress traffic will traverse the waypoint/.test(boundCondition(service)?.message ?? '')
}

function backendsOf({ metadata, spec }: HttpRoute): string[] {
  const own = metadata.namespace ?? 'default'
  return (spec?.rules ?? []).flatMap(({ backendRefs = [] }) =>
    backendRefs
      .filter(({ kind = 'Service' }) => kind === 'Service')
      .map(({ namespace = own, name }) => `${namespace}/${name}`),
  )
}

function parentsOf({ metadata, spec }: HttpRoute): string[] {
  const own = metadata.namespace ?? 'default'
  return (spec?.parentRefs ?? [])
    .filter(({ kind = 'Gateway' }) => kind === 'Gateway')
    .map(({ namespace = own, name }) => `${namespace}/${name}`)
}
