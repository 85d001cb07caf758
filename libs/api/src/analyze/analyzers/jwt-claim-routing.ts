import gatewayKind from '../../kinds/gateway.ts'
import istioGatewayKind from '../../kinds/istio-gateway.ts'
import podKind from '../../kinds/pod.ts'
import requestAuthenticationKind from '../../kinds/request-authentication.ts'
import virtualServiceKind, { type VirtualService } from '../../kinds/virtual-service.ts'
import { parseNamespacedName } from '../../reference.ts'
import { matchesEvery } from '../../selector.ts'
import { labelText, targetRefsOf } from '../ambient-mesh.ts'
import type { AnalysisWorld } from '../analysis-world.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

/** Routing by claims of a token that nobody has checked. */
export default defineAnalyzer({
  name: 'jwt-claim-routing',
  codes: ['IST0149'],
  *find(world) {
    for (const virtualService of world.list(virtualServiceKind)) {
      const claim = claimOf(virtualService)
      if (!claim) continue
      for (const gateway of virtualService.spec?.gateways ?? []) {
        const unchecked = gateway === 'mesh' ? undefined : uncheckedPods(world, virtualService, gateway)
        if (unchecked !== undefined)
          yield finding('IST0149', virtualService, [claim.key, gateway, unchecked], claim.path)
      }
    }
  },
})

function claimOf({ spec }: VirtualService): { readonly key: string; readonly path: string } | undefined {
  for (const [rule, { match = [] }] of (spec?.http ?? []).entries()) {
    for (const [index, { headers = {}, withoutHeaders = {} }] of match.entries()) {
      for (const key of [...Object.keys(headers), ...Object.keys(withoutHeaders)]) {
        if (key.startsWith('@request.auth.claims')) return { key, path: `spec.http[${rule}].match[${index}]` }
      }
    }
  }
  return undefined
}

/** How the pods of the gateway are named in the message, when no RequestAuthentication is for them. */
function uncheckedPods(world: AnalysisWorld, { metadata }: VirtualService, gateway: string): string | undefined {
  const { namespace, name } = parseNamespacedName(gateway, metadata.namespace ?? '')
  const policies = world.list(requestAuthenticationKind)
  if (world.get(gatewayKind, namespace, name)) {
    const isChecked = policies.some(
      (policy) =>
        (policy.metadata.namespace ?? '') === namespace &&
        targetRefsOf(policy).some((target) => target.kind === 'Gateway' && target.name === name),
    )
    return isChecked ? undefined : name
  }
  const selector = world.get(istioGatewayKind, namespace, name)?.spec?.selector
  if (!selector) return undefined
  const pods = world.list(podKind).filter((pod) => matchesEvery(selector, pod.metadata.labels))
  const labels = pods.length > 0 ? pods.map((pod) => pod.metadata) : [{ namespace: undefined, labels: selector }]
  const isChecked = policies.some((policy) => {
    const { namespace: home = '' } = policy.metadata
    return labels.some(
      (pod) =>
        (home === world.settings.rootNamespace || pod.namespace === undefined || home === pod.namespace) &&
        targetRefsOf(policy).length === 0 &&
        matchesEvery(policy.spec?.selector?.matchLabels ?? {}, pod.labels),
    )
  })
  return isChecked ? undefined : labelText(selector)
}
