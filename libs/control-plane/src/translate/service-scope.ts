import { matchesLabels, type Service } from '@ambient-lab/api'
import { NAMESPACES } from '../stored-kinds.ts'
import type { TranslationView } from './view.ts'

/**
 * Whether a service is known beyond its own cluster: what the first of the mesh's configurations that matches says,
 * LOCAL where none does.
 */
export function serviceScope(service: Service, view: Pick<TranslationView, 'get' | 'mesh'>): 'LOCAL' | 'GLOBAL' {
  const namespace = view.get(NAMESPACES, service.metadata.namespace ?? '')
  const config = view.mesh.serviceScopeConfigs.find(
    ({ namespaceSelector, servicesSelector }) =>
      (namespaceSelector || servicesSelector) &&
      matchesLabels(namespaceSelector ?? {}, namespace?.metadata.labels) &&
      matchesLabels(servicesSelector ?? {}, service.metadata.labels),
  )
  return config?.scope ?? 'LOCAL'
}
