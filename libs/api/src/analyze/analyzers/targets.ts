import authorizationPolicyKind from '../../kinds/authorization-policy.ts'
import envoyFilterKind from '../../kinds/envoy-filter.ts'
import gatewayKind from '../../kinds/gateway.ts'
import gatewayClassKind from '../../kinds/gateway-class.ts'
import l4TrafficPolicyKind from '../../kinds/l4-traffic-policy.ts'
import rateLimitPolicyKind from '../../kinds/rate-limit-policy.ts'
import requestAuthenticationKind from '../../kinds/request-authentication.ts'
import serviceKind from '../../kinds/service.ts'
import serviceEntryKind from '../../kinds/service-entry.ts'
import telemetryKind from '../../kinds/telemetry.ts'
import trafficExtensionKind from '../../kinds/traffic-extension.ts'
import wasmPluginKind from '../../kinds/wasm-plugin.ts'
import type { PolicyTargetReference } from '../../reference.ts'
import { objectKey, type Resource } from '../../resource.ts'
import { targetRefPath, targetRefsOf, waypointState } from '../ambient-mesh.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import type { Finding } from '../finding.ts'

/** Kinds that waypoints alone enforce when they are attached to a service. */
const AT_WAYPOINTS = [
  authorizationPolicyKind,
  requestAuthenticationKind,
  telemetryKind,
  envoyFilterKind,
  wasmPluginKind,
  trafficExtensionKind,
  rateLimitPolicyKind,
] as const

/** What policies are attached to: whether it is there, and whether it has a waypoint to enforce them. */
export default defineAnalyzer({
  name: 'targets',
  codes: ['AM0107', 'IST0101'],
  *find(world) {
    for (const kind of AT_WAYPOINTS) {
      for (const policy of world.list<Resource>(kind as never)) yield* findOf(world, policy, true)
    }
    for (const policy of world.list(l4TrafficPolicyKind)) yield* findOf(world, policy, false)
  },
})

function* findOf(world: AnalysisWorld, policy: Resource, needsWaypoint: boolean): Iterable<Finding> {
  for (const [index, target] of targetRefsOf(policy).entries()) {
    const path = targetRefPath(policy, index)
    const found = targetOf(world, policy, target)
    if (found === 'not for us') continue
    if (found === undefined) {
      const name = target.kind === 'GatewayClass' ? target.name : `${policy.metadata.namespace ?? ''}/${target.name}`
      yield finding('IST0101', policy, [target.kind, name], `${path}.name`)
    } else if (needsWaypoint && (target.kind === 'Service' || target.kind === 'ServiceEntry')) {
      if (waypointState(world, found).state === 'none') {
        yield finding('AM0107', policy, [target.kind, objectKey(found.metadata)], path)
      }
    }
  }
}

function targetOf(
  world: AnalysisWorld,
  { metadata: { namespace } }: Resource,
  { kind, name }: PolicyTargetReference,
): Resource | 'not for us' | undefined {
  switch (kind) {
    case 'Service':
      return world.get(serviceKind, namespace, name)
    case 'ServiceEntry':
      return world.get(serviceEntryKind, namespace, name)
    case 'Gateway':
      return world.get(gatewayKind, namespace, name)
    case 'GatewayClass':
      // The classes that the mesh brings along are in no file.
      return name.startsWith('istio') ? 'not for us' : world.get(gatewayClassKind, undefined, name)
    default:
      return 'not for us'
  }
}
