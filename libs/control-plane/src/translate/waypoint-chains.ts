import type { FilterChain } from '@ambient-lab/xds'
import type { WaypointRef } from '../routing/service-chain.ts'
import type { Translated } from './translation.ts'
import type { TranslationView } from './view.ts'
import type { WaypointAttachment } from './waypoint-attachment.ts'

/** The chains of an object at each waypoint that its connections may come to, for the nodes that run it. */
export function chainsOfWaypoints(
  { waypoint, canary }: WaypointAttachment,
  chainsAt: (waypoint: WaypointRef) => readonly FilterChain[],
  view: TranslationView,
): Translated<'type.googleapis.com/ambient.lab.FilterChain'>[] {
  return [waypoint, canary?.waypoint].flatMap((at) => {
    if (!at) return []
    const nodes = view.routes.nodesOf(`${at.namespace}/${at.name}`)
    return chainsAt(at).map((resource) => ({ name: resource.name, resource, nodes }))
  })
}
