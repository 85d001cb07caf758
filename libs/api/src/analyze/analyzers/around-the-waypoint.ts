import authorizationPolicyKind, { type AuthorizationPolicy } from '../../kinds/authorization-policy.ts'
import gatewayKind from '../../kinds/gateway.ts'
import httpRouteKind from '../../kinds/http-route.ts'
import serviceKind, { type Service } from '../../kinds/service.ts'
import { describeReference } from '../../reference.ts'
import { objectKey } from '../../resource.ts'
import { matchesEvery } from '../../selector.ts'
import { ingressUseWaypoint } from '../../waypoint-labels.ts'
import { hasSidecar, isWaypoint, targetRefsOf, waypointState } from '../ambient-mesh.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

/** Clients that do not pass the waypoint at which a policy is enforced. */
export default defineAnalyzer({
  name: 'around-the-waypoint',
  codes: ['AM0108'],
  *find(world) {
    for (const policy of world.list(authorizationPolicyKind)) {
      for (const service of guardedBy(world, policy)) {
        const waypoint = waypointState(world, service)
        if (waypoint.state !== 'ok') continue
        for (const who of passers(world, service, waypoint.key)) {
          yield finding('AM0108', policy, [who, waypoint.key, objectKey(service.metadata)])
        }
      }
    }
  },
})

/** Services that a policy is attached to, or all behind the waypoint that it is. */
function guardedBy(world: AnalysisWorld, policy: AuthorizationPolicy): readonly Service[] {
  const { namespace } = policy.metadata
  const services = targetRefsOf(policy).flatMap(({ kind, name }) => {
    if (kind === 'Service') return [world.get(serviceKind, namespace, name)]
    if (kind !== 'Gateway') return []
    return world.list(serviceKind).filter((service) => {
      const waypoint = waypointState(world, service)
      return waypoint.state === 'ok' && waypoint.key === `${namespace}/${name}`
    })
  })
  return [...new Set(services.filter((service) => service !== undefined))]
}

function passers(world: AnalysisWorld, service: Service, waypoint: string): readonly string[] {
  const sidecar = world.workloads.find((workload) => hasSidecar(world, workload))
  return [
    ...gatewaysBefore(world, service),
    ...(sidecar ? [`What a sidecar sends, such as that of ${describeReference(sidecar.object)},`] : []),
    ...(isMandatory(world, service, waypoint) ? [] : ['Whoever dials a pod by its address']),
  ]
}

/** Gateways that send to the service and are not told to pass its waypoint. */
function gatewaysBefore(world: AnalysisWorld, service: Service): readonly string[] {
  const { namespace = '', name, labels } = service.metadata
  if (ingressUseWaypoint(labels, world.namespaceLabels(namespace))) return []
  const doors = world.list(httpRouteKind).flatMap((route) => {
    const own = route.metadata.namespace ?? ''
    const leads = (route.spec?.rules ?? []).some(({ backendRefs = [] }) =>
      backendRefs.some(
        (ref) => (ref.kind ?? 'Service') === 'Service' && ref.name === name && (ref.namespace ?? own) === namespace,
      ),
    )
    if (!leads) return []
    return (route.spec?.parentRefs ?? [])
      .filter(({ kind = 'Gateway' }) => kind === 'Gateway')
      .map((ref) => world.get(gatewayKind, ref.namespace ?? own, ref.name))
  })
  const entrances = doors.filter((gateway) => gateway !== undefined && !isWaypoint(gateway))
  return [...new Set(entrances.map((gateway) => `What comes in by gateway ${objectKey(gateway!.metadata)}`))]
}

/** Whether a DENY at ztunnel lets only the waypoint in. */
function isMandatory(world: AnalysisWorld, service: Service, waypoint: string): boolean {
  const [waypointNamespace, waypointName] = waypoint.split('/')
  const account = `/ns/${waypointNamespace}/sa/${waypointName}`
  const selector = service.spec?.selector ?? {}
  return world
    .list(authorizationPolicyKind, service.metadata.namespace ?? '')
    .some(
      (policy) =>
        targetRefsOf(policy).length === 0 &&
        matchesEvery(policy.spec?.selector?.matchLabels ?? {}, selector) &&
        (policy.spec?.rules ?? []).some(({ from = [] }) =>
          from.some(({ source = {} }) =>
            (policy.spec?.action === 'DENY' ? source.notPrincipals : source.principals)?.some((text) =>
              text.endsWith(account),
            ),
          ),
        ),
    )
}
