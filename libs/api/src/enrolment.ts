import type { Resource } from './resource.ts'
import { SIDECAR_STATUS_ANNOTATION } from './sidecar-injection.ts'

export const DATAPLANE_MODE = 'istio.io/dataplane-mode'

/** Istio's `cni.excludeNamespaces`. */
const NEVER_CAPTURED: ReadonlySet<string> = new Set(['kube-system'])

/** Whether the mesh shall capture a pod: its own label counts before its namespace's. */
export function wantsCapture(
  pod: Resource<{ readonly hostNetwork?: boolean }>,
  namespace: Resource | undefined,
): boolean {
  if (pod.spec?.hostNetwork || pod.metadata.annotations?.[SIDECAR_STATUS_ANNOTATION]) return false
  if (NEVER_CAPTURED.has(pod.metadata.namespace ?? '')) return false
  return (pod.metadata.labels?.[DATAPLANE_MODE] ?? namespace?.metadata.labels?.[DATAPLANE_MODE]) === 'ambient'
}
