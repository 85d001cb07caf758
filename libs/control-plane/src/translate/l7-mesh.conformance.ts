import type { Resource } from '@ambient-lab/api'
import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import { VersionedResources } from '@ambient-lab/xds'
import { Cluster } from '../cluster.ts'
import { MESH_CONFIG_DEFAULT } from '../mesh-config.ts'
import { MemoryStore } from '../store/memory-store.ts'
import { GATEWAYS, HTTP_ROUTES, type KnownType, NAMESPACES, PODS, SERVICES } from '../stored-kinds.ts'
import { Translator } from './translator.ts'

/** A mesh with one waypoint for many services, as a test or a bench needs it: no controller, only translation. */
export class L7Mesh {
  readonly cluster = new Cluster({ store: new MemoryStore(), clock: new VirtualClock(), random: new SeededRandom(1) })
  readonly resources = new VersionedResources()

  /** Services `s0`, `s1`, … in one namespace that uses the waypoint; route `r<n>` is of service `s<n modulo services>`. */
  async fill({ services, routes }: { readonly services: number; readonly routes: number }): Promise<void> {
    const writes = [
      this.put(NAMESPACES, { ...namespace() }),
      this.put(GATEWAYS, waypoint()),
      this.put(PODS, replica('waypoint-1', 'n1')),
    ]
    for (let index = 0; index < services; index += 1) writes.push(this.put(SERVICES, service(`s${index}`)))
    for (let index = 0; index < routes; index += 1) {
      writes.push(this.put(HTTP_ROUTES, route(`r${index}`, `s${index % services}`, `/v${index}`)))
    }
    await Promise.all(writes)
  }

  translate(): Translator {
    return new Translator({ cluster: this.cluster, resources: this.resources, mesh: MESH_CONFIG_DEFAULT })
  }

  /** Written, and translated. */
  async put(type: KnownType, object: Resource): Promise<void> {
    const { name, namespace: of } = object.metadata
    await this.cluster.store.write(type, of ? `${of}/${name}` : name, () => object)
    await Promise.resolve()
  }
}

function namespace(): Resource {
  const metadata = { name: 'default', labels: { 'istio.io/use-waypoint': 'waypoint' } }
  return { apiVersion: 'v1', kind: 'Namespace', metadata }
}

function waypoint(): Resource {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'waypoint', namespace: 'default' },
    spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
    status: { addresses: [{ type: 'Hostname', value: 'waypoint.default.svc.cluster.local' }] },
  }
}

export function replica(name: string, nodeName: string): Resource {
  const labels = { 'gateway.networking.k8s.io/gateway-name': 'waypoint' }
  const status = { phase: 'Running', podIP: '10.244.1.9', conditions: [{ type: 'Ready', status: 'True' }] }
  const spec = { nodeName, containers: [{ name: 'istio-proxy' }] }
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default', labels }, spec, status }
}

export function service(name: string): Resource {
  const spec = { selector: { app: name }, ports: [{ name: 'http', port: 9080 }] }
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' }, spec }
}

export function route(name: string, of: string, path: string): Resource {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace: 'default' },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: of }],
      rules: [{ matches: [{ path: { value: path } }], backendRefs: [{ name: of, port: 9080 }] }],
    },
  }
}
