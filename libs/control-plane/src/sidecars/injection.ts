import type { Container, Namespace, Pod, Resource } from '@ambient-lab/api'
import { PROXY_IMAGE } from '../gateways/gateway-deployment.ts'
import { canonicalOf, podOwner } from '../translate/workload-parts.ts'

/** As Istio names it. */
export const SIDECAR_CONTAINER = 'istio-proxy'
/** What tells everybody else that a pod was injected. */
const STATUS_ANNOTATION = 'sidecar.istio.io/status'
const INJECT = 'sidecar.istio.io/inject'
const REVISION = 'istio.io/rev'
/** What is injected instead of a sidecar: `gateway` makes a gateway of the pod. */
const TEMPLATES = 'inject.istio.io/templates'
const TELEMETRY_PORT = 15_090
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
export function wantsSidecar(pod: Resource<InjectedSpec>, namespace: Namespace | undefined): boolean {
  const { labels = {}, annotations = {}, namespace: home = '' } = pod.metadata
  if (pod.spec?.hostNetwork || IGNORED_NAMESPACES.has(home)) return false
  const { 'istio-injection': injection, [REVISION]: revision } = namespace?.metadata.labels ?? {}
  if (!(annotations[TEMPLATES] ?? 'sidecar').split(',').some((name) => name.trim() === 'sidecar')) return false
  const own = labels[INJECT] ?? annotations[INJECT]
  if (own !== undefined && !YES.has(own.toLowerCase())) return false
  if (injection !== undefined) return injection === 'enabled'
  // The annotation alone brings no pod before the webhook: it can only refuse.
  return revision !== undefined || labels[INJECT] !== undefined || labels[REVISION] !== undefined
}

/** Whether a sidecar is at the side of a pod. */
export function hasSidecar(pod: Resource): boolean {
  const { containers = [] } = (pod.spec ?? {}) as { readonly containers?: readonly Container[] }
  return (
    pod.metadata.annotations?.[STATUS_ANNOTATION] !== undefined &&
    containers.some(({ name }) => name === SIDECAR_CONTAINER)
  )
}

/** The pod with its sidecar, as Istio's webhook changes it, where it wants one; else the same pod. */
export function injected(pod: Pod, namespace: Namespace | undefined): Pod {
  if (!pod.spec || hasSidecar(pod) || !wantsSidecar(pod, namespace)) return pod
  const { metadata, spec } = pod
  const { labels = {}, annotations = {} } = metadata
  const { canonicalName, canonicalRevision } = canonicalOf(labels, podOwner(pod).name)
  const [first] = spec.containers
  // Whoever writes the container himself customizes the sidecar.
  const own = spec.containers.some(({ name }) => name === SIDECAR_CONTAINER)
  return {
    ...pod,
    metadata: {
      ...metadata,
      labels: {
        ...labels,
        'security.istio.io/tlsMode': 'istio',
        'networking.istio.io/tunnel': 'http',
        'service.istio.io/canonical-name': canonicalName,
        'service.istio.io/canonical-revision': canonicalRevision,
      },
      annotations: {
        'kubectl.kubernetes.io/default-container': first?.name ?? '',
        ...annotations,
        [STATUS_ANNOTATION]: statusText(labels[REVISION] ?? namespace?.metadata.labels?.[REVISION]),
      },
    },
    spec: own ? spec : { ...spec, containers: [...spec.containers, CONTAINER] },
  }
}

const CONTAINER: Container = {
  name: SIDECAR_CONTAINER,
  image: PROXY_IMAGE,
  args: ['proxy', 'sidecar'],
  ports: [{ name: 'http-envoy-prom', containerPort: TELEMETRY_PORT, protocol: 'TCP' }],
}

/** Nothing redirects traffic by rules of the kernel, and no volume is mounted: there is but the container. */
function statusText(revision = 'default'): string {
  return JSON.stringify({
    initContainers: null,
    containers: [SIDECAR_CONTAINER],
    volumes: null,
    imagePullSecrets: null,
    revision,
  })
}
