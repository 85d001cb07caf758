import { matchesLabels, type Resource } from '@ambient-lab/api'
import type { Service } from '@ambient-lab/xds'
import type { ServiceEntryVisibility } from '../mesh-config.ts'

/** Who may see the ServiceEntries of a namespace: what the first policy that matches says, else the mesh's default. */
export function entryVisibility(
  { policies = [], defaultVisibility = 'PUBLIC' }: ServiceEntryVisibility,
  namespace: Resource | undefined,
): Service['visibility'] {
  const policy = policies.find(({ matchingRules = [] }) =>
    matchingRules.some(
      ({ namespaceSelector }) =>
        namespaceSelector !== undefined && matchesLabels(namespaceSelector, namespace?.metadata.labels),
    ),
  )
  return policy?.visibility ?? defaultVisibility
}
