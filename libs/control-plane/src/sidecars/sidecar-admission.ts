import type { Pod } from '@ambient-lab/api'
import type { AdmissionHook } from '../api-server/index.ts'
import type { Cluster } from '../cluster.ts'
import { NAMESPACES, PODS } from '../stored-kinds.ts'
import { injected } from './injection.ts'

/** Istio's webhook: pods that somebody creates get their sidecars; those of controllers get them where they are made. */
export function sidecarAdmission(cluster: Pick<Cluster, 'get'>): AdmissionHook {
  return {
    name: 'sidecar-injector',
    admit({ type, operation, object, subresource }) {
      if (type !== PODS || operation !== 'create' || subresource) return undefined
      const namespace = cluster.get(NAMESPACES, object.metadata.namespace ?? '')
      const pod = injected(object as Pod, namespace)
      return pod === object ? undefined : { object: pod }
    },
  }
}
