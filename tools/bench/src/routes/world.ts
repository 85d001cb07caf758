import type { Resource } from '@ambient-lab/api'

export const NAMESPACE = 'load'
export const NODES = ['n1', 'n2', 'n3'] as const
/** Says in each answer which state of its route was in force. */
export const REVISION_HEADER = 'x-revision'
/** Workloads that services share: each of them is behind several, as few machines hold a thousand. */
const SHARDS = 60

export const GATEWAY_LABEL = 'gateway.networking.k8s.io/gateway-name=waypoint'

/** Everything but services and routes: a waypoint with a replica on each node, callers and workloads. */
export const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: ${NAMESPACE}, labels: { istio.io/dataplane-mode: ambient, istio.io/use-waypoint: waypoint } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: waypoint, namespace: ${NAMESPACE}, annotations: { ambient.lab/replicas: "${NODES.length}" } }
spec: { gatewayClassName: istio-waypoint, listeners: [{ name: mesh, port: 15008, protocol: HBONE }] }
---
apiVersion: v1
kind: Pod
metadata: { name: caller, namespace: ${NAMESPACE} }
spec: { nodeName: n1, containers: [{ name: curl, image: curlimages/curl }] }
${Array.from({ length: SHARDS }, (_, shard) => echoPod(shard)).join('')}`

function echoPod(shard: number): string {
  return `
---
apiVersion: v1
kind: Pod
metadata: { name: echo-${shard}, namespace: ${NAMESPACE}, labels: { shard: "${shard}" } }
spec:
  nodeName: ${NODES[shard % NODES.length]}
  containers: [{ name: echo, image: ambient-lab/echo, ports: [{ containerPort: 3000 }] }]
`
}

export function serviceName(index: number): string {
  return `s${index}`
}

export function service(index: number): Resource {
  const spec = {
    selector: { shard: String(index % SHARDS) },
    ports: [{ name: 'http', port: 80, targetPort: 3000 }],
  }
  return { apiVersion: 'v1', kind: 'Service', metadata: { name: serviceName(index), namespace: NAMESPACE }, spec }
}

/** Route `index` is of service `index modulo services`, at a path of its own. */
export function route(index: number, services: number, revision: number): Resource {
  const name = serviceName(index % services)
  const set = [{ name: REVISION_HEADER, value: String(revision) }]
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: `r${index}`, namespace: NAMESPACE },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name, port: 80 }],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: routePath(index) } }],
          filters: [{ type: 'ResponseHeaderModifier', responseHeaderModifier: { set } }],
          backendRefs: [{ name, port: 80 }],
        },
      ],
    },
  }
}

export function routePath(index: number): string {
  return `/r${index}`
}
