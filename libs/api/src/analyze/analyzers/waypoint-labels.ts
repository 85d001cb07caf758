import serviceKind from '../../kinds/service.ts'
import serviceEntryKind from '../../kinds/service-entry.ts'
import type { Resource } from '../../resource.ts'
import { GATEWAY_NAME_LABEL, USE_WAYPOINT } from '../../waypoint-labels.ts'
import { waypointState } from '../ambient-mesh.ts'
import { defineAnalyzer, finding } from '../analyzer.ts'

const WORDS = { missing: 'not there', 'not ready': 'not programmed', 'wrong traffic': 'not for services' } as const

/** Services that ask for a waypoint which cannot be used. */
export default defineAnalyzer({
  name: 'waypoint-labels',
  codes: ['AM0103'],
  *find(world) {
    const services: readonly Resource[] = [...world.list(serviceKind), ...world.list(serviceEntryKind)]
    for (const service of services) {
      if (service.metadata.labels?.[GATEWAY_NAME_LABEL] !== undefined) continue
      const waypoint = waypointState(world, service)
      if (!('key' in waypoint) || waypoint.state === 'ok') continue
      const own = service.metadata.labels?.[USE_WAYPOINT] !== undefined
      // What a namespace asks for is left out in silence where it does not fit.
      if (!own && waypoint.state === 'wrong traffic') continue
      const path = own ? `metadata.labels[${USE_WAYPOINT}]` : undefined
      yield finding('AM0103', service, [waypoint.key, WORDS[waypoint.state]], path)
    }
  },
})
