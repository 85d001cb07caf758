import { outboundChains } from '../routing/sidecar-outbound.ts'
import type { RouteTarget } from '../routing/targets.ts'
import type { ObjectChange, Touched, Translated } from './translation.ts'
import type { TranslationView } from './view.ts'

/** The chains of a service at the sidecars of its callers: one set for each namespace that has any, for the nodes of those. */
export function chainsOfSidecars(
  target: RouteTarget,
  view: TranslationView,
): Translated<'type.googleapis.com/ambient.lab.FilterChain'>[] {
  const { sidecars } = view
  return sidecars.namespaces.flatMap((namespace) => {
    const nodes = sidecars.nodesOf(namespace)
    return outboundChains(target, namespace, view).map((resource) => ({ name: resource.name, resource, nodes }))
  })
}

/** Everything when a node got the first sidecar of a namespace, or lost the last. */
export function turnOfSidecars(change: ObjectChange, view: TranslationView): Touched {
  return view.sidecars.isTurningPoint(change) ? { namespace: undefined } : { keys: [] }
}
