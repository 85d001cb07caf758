import type { Container } from './pod-template.ts'
import type { Resource } from './resource.ts'

/** As Istio names it. */
export const SIDECAR_CONTAINER = 'istio-proxy'
/** What tells everybody else that a pod was injected. */
export const SIDECAR_STATUS_ANNOTATION = 'sidecar.istio.io/status'
export const REVISION_LABEL = 'istio.io/rev'

const INJECT = 'sidecar.istio.io/inject'
/** What is injected instead of a sidecar: `gateway` makes a gateway of the pod. */
const TEMPLATES = 'inject.istio.io/templates'
/** Istio's webhooks never see these. */
const IGNORED_NAMESPACES = new Set(['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage'])
/** YAML's words for true, which the injector takes besides `true`. */
const YES = new Set(['true', 'y', 'yes', 'on'])

type InjectedSpec = { readonly hostNetwork?: boolean }

/**
 * Whether a pod that is created in a namespace gets a sidecar: what says no counts before what says yes, a namespace's
 * `istio-injection` before its `istio.io/rev`, and a pod's label before the annotation of the same name.
 * @see https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/#controlling-the-injection-policy
 */
export function wantsSidecar(pod: Resource<InjectedSpec>, namespace: Pick<Resource, 'metadata'> | undefined): boolean {
  const { labels = {}, annotations = {}, namespace: home = '' } = pod.metadata
  if (pod.spec?.hostNetwork || IGNORED_NAMESPACES.has(home)) return false
  const { 'istio-injection': injection, [REVISION_LABEL]: revision } = namespace?.metadata.labels ?? {}
  if (!(annotations[TEMPLATES] ?? 'sidecar').split(',').some((name) => name.trim() === 'sidecar')) return false
  const own = labels[INJECT] ?? annotations[INJECT]
  if (own !== undefined && !YES.has(own.toLowerCase())) return false
  if (injection !== undefined) return injection === 'enabled'
  // The annotation alone brings no pod before the webhook: it can only refuse.
  return revision !== undefined || labels[INJECT] !== undefined || labels[REVISION_LABEL] !== undefined
}

/** Whether a sidecar is at the side of a pod. */
export function hasSidecar(pod: Resource): boolean {
  const { containers = [] } = (pod.spec ?? {}) as { readonly containers?: readonly Container[] }
  return (
    pod.metadata.annotations?.[SIDECAR_STATUS_ANNOTATION] !== undefined &&
    containers.some(({ name }) => name === SIDECAR_CONTAINER)
  )
}
