import {
  type Container,
  hasSidecar,
  type Namespace,
  type Pod,
  REVISION_LABEL,
  SIDECAR_CONTAINER,
  SIDECAR_STATUS_ANNOTATION,
  wantsSidecar,
} from '@ambient-lab/api'
import { PROXY_IMAGE } from '../gateways/gateway-deployment.ts'
import { canonicalOf, podOwner } from '../translate/workload-parts.ts'

const TELEMETRY_PORT = 15_090

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
        [SIDECAR_STATUS_ANNOTATION]: statusText(labels[REVISION_LABEL] ?? namespace?.metadata.labels?.[REVISION_LABEL]),
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
