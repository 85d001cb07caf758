import { objectKey, type Service } from '@ambient-lab/api'
import type { FilterChain } from '@ambient-lab/xds'
import { aliasChains, outboundChains } from '../routing/sidecar-outbound.ts'
import type { RouteTarget } from '../routing/targets.ts'
import { SERVICES, type ServiceEntry } from '../stored-kinds.ts'
import type { ObjectChange, Touched, Translated } from './translation.ts'
import type { TranslationView } from './view.ts'

/** The chains of a service at the sidecars of its callers: one set for each namespace that has any, for the nodes of those. */
export function chainsOfSidecars(target: RouteTarget, view: TranslationView): TranslatedChain[] {
  return forEachNamespace((namespace) => outboundChains(target, namespace, view), view)
}

/** The same of a Service that is but another name for one. */
export function chainsOfAlias(alias: Service, view: TranslationView): TranslatedChain[] {
  return forEachNamespace((namespace) => aliasChains(alias, namespace, view), view)
}

type TranslatedChain = Translated<'type.googleapis.com/ambient.lab.FilterChain'>

function forEachNamespace(
  chainsFor: (namespace: string) => readonly FilterChain[],
  { sidecars }: TranslationView,
): TranslatedChain[] {
  return sidecars.namespaces.flatMap((namespace) => {
    const nodes = sidecars.nodesOf(namespace)
    return chainsFor(namespace).map((resource) => ({ name: resource.name, resource, nodes }))
  })
}

/** Services that are other names for a Service or a host of a ServiceEntry which changed. */
export function aliasesOf({ object, previous }: ObjectChange, view: TranslationView): Touched {
  if (view.sidecars.nodes.length === 0) return { keys: [] }
  const { name, namespace } = object.metadata
  const hosts = new Set(
    object.kind === 'Service'
      ? [`${name}.${namespace}.svc.${view.mesh.clusterDomain}`]
      : [object, previous].flatMap((entry) => (entry as ServiceEntry | undefined)?.spec?.hosts ?? []),
  )
  const aliases = view
    .list(SERVICES)
    .filter(({ spec }) => spec?.externalName !== undefined && hosts.has(spec.externalName))
  return { keys: aliases.map(({ metadata }) => objectKey(metadata)) }
}

/** Everything when a node got the first sidecar of a namespace, or lost the last. */
export function turnOfSidecars(change: ObjectChange, view: TranslationView): Touched {
  return view.sidecars.isTurningPoint(change) ? { namespace: undefined } : { keys: [] }
}
