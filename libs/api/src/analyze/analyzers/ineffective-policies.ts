import authorizationPolicyKind from '../../kinds/authorization-policy.ts'
import envoyFilterKind from '../../kinds/envoy-filter.ts'
import podKind from '../../kinds/pod.ts'
import requestAuthenticationKind from '../../kinds/request-authentication.ts'
import telemetryKind from '../../kinds/telemetry.ts'
import wasmPluginKind from '../../kinds/wasm-plugin.ts'
import type { Resource } from '../../resource.ts'
import { matchesEvery } from '../../selector.ts'
import { GATEWAY_NAME_LABEL } from '../../waypoint-labels.ts'
import { isForAmbient, targetRefsOf } from '../ambient-mesh.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'
import type { Finding } from '../finding.ts'

type Labels = Readonly<Record<string, string>>

/** Kinds that ztunnel does not read, and waypoints only where targetRefs name them. */
const WITH_TARGETS = [requestAuthenticationKind, telemetryKind, envoyFilterKind, wasmPluginKind] as const

/** Policies that nobody reads in ambient mode. */
export default defineAnalyzer({
  name: 'ineffective-policies',
  codes: ['IST0166', 'IST0167'],
  *find(world) {
    for (const kind of WITH_TARGETS) {
      for (const policy of world.list<Resource>(kind as never)) yield* findUntargeted(world, policy)
    }
    for (const policy of world.list(authorizationPolicyKind)) yield* findOnGateways(world, policy)
  },
})

function selectorOf({ spec }: Resource): Labels | undefined {
  const { selector, workloadSelector } = (spec ?? {}) as {
    readonly selector?: { readonly matchLabels?: Labels }
    readonly workloadSelector?: { readonly labels?: Labels }
  }
  return selector?.matchLabels ?? workloadSelector?.labels
}

function* findUntargeted(world: AnalysisWorld, policy: Resource): Iterable<Finding> {
  // In the root namespace it is a default of the mesh, which gateways and sidecars take too.
  if (targetRefsOf(policy).length > 0 || policy.metadata.namespace === world.settings.rootNamespace) return
  const onGateways = [...findOnGateways(world, policy)]
  if (onGateways.length > 0) yield* onGateways
  else if (isForAmbient(world, policy, selectorOf(policy))) {
    yield finding('IST0167', policy, ['ztunnel does not read it, and a waypoint only with targetRefs'])
  }
}

/** A selector that means pods of a Gateway of the Gateway API. */
function* findOnGateways(world: AnalysisWorld, policy: Resource): Iterable<Finding> {
  const labels = selectorOf(policy)
  if (!labels || Object.keys(labels).length === 0) return
  const pod = world
    .list(podKind, policy.metadata.namespace ?? '')
    .find(
      ({ metadata }) => metadata.labels?.[GATEWAY_NAME_LABEL] !== undefined && matchesEvery(labels, metadata.labels),
    )
  if (pod) yield finding('IST0166', policy, [pod.metadata.labels?.[GATEWAY_NAME_LABEL] ?? ''], 'spec.selector')
}
