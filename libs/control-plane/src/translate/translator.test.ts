import type { Resource } from '@ambient-lab/api'
import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import {
  ADDRESS_TYPE,
  ASSIGNMENT_TYPE,
  type Assignment,
  AUTHORIZATION_TYPE,
  TYPE_URLS,
  VersionedResources,
} from '@ambient-lab/xds'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Cluster } from '../cluster.ts'
import { MESH_CONFIG_DEFAULT } from '../mesh-config.ts'
import { MemoryStore } from '../store/memory-store.ts'
import {
  AUTHORIZATION_POLICIES,
  CONFIG_MAPS,
  ENDPOINT_SLICES,
  GATEWAY_CLASSES,
  GATEWAYS,
  type KnownType,
  NAMESPACES,
  NODES,
  PEER_AUTHENTICATIONS,
  PODS,
  SERVICE_ENTRIES,
  SERVICES,
  WORKLOAD_ENTRIES,
} from '../stored-kinds.ts'
import { Translator } from './translator.ts'

class Bench {
  readonly cluster = new Cluster({ store: new MemoryStore(), clock: new VirtualClock(), random: new SeededRandom(1) })
  readonly resources = new VersionedResources()
  readonly translator = this.translate(this.resources)
  changes = 0

  constructor() {
    this.resources.onChange(() => {
      this.changes += 1
    })
  }

  translate(resources: VersionedResources): Translator {
    return new Translator({ cluster: this.cluster, resources, mesh: MESH_CONFIG_DEFAULT })
  }

  async put(type: KnownType, object: Resource): Promise<void> {
    const { name, namespace } = object.metadata
    await this.cluster.store.write(type, namespace ? `${namespace}/${name}` : name, () => object)
    await Promise.resolve()
  }

  async remove(type: KnownType, key: string): Promise<void> {
    await this.cluster.remove(type, key)
    await Promise.resolve()
  }

  snapshot(resources = this.resources): Record<string, unknown> {
    const entries = TYPE_URLS.flatMap((typeUrl) =>
      [...resources.names(typeUrl)].map((name) => [`${typeUrl} ${name}`, resources.get(typeUrl, name)] as const),
    )
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  workload(name: string): unknown {
    const found = this.resources.get(ADDRESS_TYPE, `Kubernetes//Pod/default/${name}`)?.resource
    return (found as { workload: unknown } | undefined)?.workload
  }
}

const meta = (name: string, labels: Record<string, string> = {}) => ({ name, namespace: 'default', labels })

function pod(name: string, labels: Record<string, string>): Resource {
  const status = { phase: 'Running', podIP: '10.244.1.2', conditions: [{ type: 'Ready', status: 'True' }] }
  const spec = { nodeName: 'n1', containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }] }] }
  return { apiVersion: 'v1', kind: 'Pod', metadata: meta(name, labels), spec, status }
}

function service(name: string, selector: Record<string, string>): Resource {
  const spec = { selector, clusterIP: '10.96.0.20', ports: [{ name: 'http', port: 80, targetPort: 'http' }] }
  return { apiVersion: 'v1', kind: 'Service', metadata: meta(name), spec }
}

function policy(name: string, namespace: string, matchLabels?: Record<string, string>): Resource {
  const spec = { ...(matchLabels && { selector: { matchLabels } }), rules: [{}] }
  return { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name, namespace }, spec }
}

function strict(name: string, namespace: string, fields: object = {}): Resource {
  const spec = { mtls: { mode: 'STRICT' }, ...fields }
  return { apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', metadata: { name, namespace }, spec }
}

describe('what agents are told follows the store', () => {
  it('carries what a pod mounts of ConfigMaps to its node, and follows it', async () => {
    const bench = new Bench()
    const uid = 'Kubernetes//Pod/default/a'
    const held = () => (bench.resources.get(ASSIGNMENT_TYPE, uid)!.resource as Assignment).volumes
    const mounting = pod('a', {})
    const volumes = [{ name: 'v', configMap: { name: 'c' } }]
    await bench.put(PODS, { ...mounting, spec: { ...(mounting.spec as object), volumes } })
    await bench.put(PODS, pod('b', {}))
    expect(held()).toEqual({
      v: { files: [], missing: 'MountVolume.SetUp failed for volume "v" : configmap "c" not found' },
    })
    const map = (data: Record<string, string>) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: meta('c'), data })
    const before = bench.translator.translationCount
    await bench.put(CONFIG_MAPS, map({ key: 'one' }))
    expect(bench.translator.translationCount - before).toBe(1)
    expect(held()).toEqual({ v: { files: [{ path: 'key', content: 'one', encoding: 'utf8' }] } })
    await bench.put(CONFIG_MAPS, map({ key: 'two' }))
    expect(held()?.v?.files).toMatchObject([{ content: 'two' }])
    await bench.remove(CONFIG_MAPS, 'default/c')
    expect(held()?.v?.missing).toMatch(/not found/)
  })

  it('ties pods to the services that select them, and unties them', async () => {
    const bench = new Bench()
    await bench.put(PODS, pod('a', { app: 'a' }))
    expect(bench.workload('a')).toMatchObject({ services: {} })
    await bench.put(SERVICES, service('s', { app: 'a' }))
    expect(bench.workload('a')).toMatchObject({
      services: { 'default/s.default.svc.cluster.local': [{ servicePort: 80, targetPort: 8080 }] },
    })
    await bench.put(SERVICES, service('s', { app: 'b' }))
    expect(bench.workload('a')).toMatchObject({ services: {} })
  })

  it('names on each workload the policies that select it, those of the root namespace too', async () => {
    const bench = new Bench()
    await bench.put(PODS, pod('a', { app: 'a' }))
    await bench.put(AUTHORIZATION_POLICIES, policy('own', 'default', { app: 'a' }))
    await bench.put(AUTHORIZATION_POLICIES, policy('root', 'istio-system', { app: 'a' }))
    await bench.put(AUTHORIZATION_POLICIES, policy('wide', 'default'))
    expect(bench.workload('a')).toMatchObject({ authorizationPolicies: ['default/own', 'istio-system/root'] })
    const scopes = [...bench.resources.names(AUTHORIZATION_TYPE)].map((name) => {
      return (bench.resources.get(AUTHORIZATION_TYPE, name)!.resource as { scope: string }).scope
    })
    expect(scopes).toEqual(['WORKLOAD_SELECTOR', 'WORKLOAD_SELECTOR', 'NAMESPACE'])
  })

  it('turns STRICT into one static policy that stays as long as anybody needs it', async () => {
    const bench = new Bench()
    const name = 'istio-system/istio_converted_static_strict'
    await bench.put(PODS, pod('a', { app: 'a' }))
    await bench.put(PEER_AUTHENTICATIONS, strict('one', 'default'))
    await bench.put(PEER_AUTHENTICATIONS, strict('two', 'istio-system'))
    expect(bench.workload('a')).toMatchObject({ authorizationPolicies: [name] })
    await bench.remove(PEER_AUTHENTICATIONS, 'default/one')
    expect(bench.workload('a')).toMatchObject({ authorizationPolicies: [name] })
    expect(bench.resources.get(AUTHORIZATION_TYPE, name)).toBeDefined()
    await bench.remove(PEER_AUTHENTICATIONS, 'istio-system/two')
    expect(bench.workload('a')).toMatchObject({ authorizationPolicies: [] })
    expect(bench.resources.get(AUTHORIZATION_TYPE, name)).toBeUndefined()
  })

  it('touches nothing that a change does not concern', async () => {
    const bench = new Bench()
    for (const name of ['a', 'b', 'c']) await bench.put(PODS, pod(name, { app: name }))
    bench.changes = 0
    await bench.put(SERVICES, service('s', { app: 'b' }))
    expect(bench.changes).toBe(2)
  })

  it('drops a pod that has finished or is gone', async () => {
    const bench = new Bench()
    await bench.put(PODS, pod('a', {}))
    await bench.put(PODS, { ...pod('a', {}), status: { phase: 'Succeeded', podIP: '10.244.1.2' } })
    expect(bench.workload('a')).toBeUndefined()
  })
})

describe('whatever the changes', () => {
  const labels = fc.constantFrom<Record<string, string>>(
    ...[{ app: 'a' }, { app: 'b' }, { app: 'a', tier: 'x' }, {}],
    ...[
      { app: 'a', 'istio.io/use-waypoint': 'x' },
      { app: 'b', 'istio.io/use-waypoint': 'none' },
    ],
    { app: 'b', 'istio.io/use-waypoint': 'y', 'istio.io/use-waypoint-namespace': 'other' },
  )
  const name = fc.constantFrom('x', 'y')
  const namespace = fc.constantFrom('default', 'istio-system', 'other')
  const network = fc.constantFrom<Record<string, string>>({}, { 'topology.istio.io/network': 'west' })
  const inNamespace = (object: Resource, of: string) => ({ ...object, metadata: { ...object.metadata, namespace: of } })
  const change = fc.oneof(
    fc.record({ type: fc.constant(PODS), name, namespace, object: fc.tuple(name, labels).map(([n, l]) => pod(n, l)) }),
    fc.record({
      type: fc.constant(SERVICES),
      name,
      namespace,
      object: fc.tuple(name, labels, labels).map(([n, l, own]) => {
        const made = service(n, l)
        return { ...made, metadata: { ...made.metadata, labels: own } }
      }),
    }),
    fc.record({
      type: fc.constant(ENDPOINT_SLICES),
      ...{ name, namespace },
      object: fc.tuple(name, name, namespace, fc.boolean()).map(([n, of, ns, named]) => {
        const targetRef = { kind: 'Pod', name: n, namespace: ns }
        return {
          ...{ apiVersion: 'v1', kind: 'EndpointSlice', metadata: meta(n, { 'kubernetes.io/service-name': of }) },
          ...{ addressType: 'IPv4', ports: [{ name: 'http', port: 8080 }] },
          endpoints: [{ addresses: ['1.2.3.4'], ...(named && { targetRef }) }],
        }
      }),
    }),
    fc.record({
      type: fc.constant(AUTHORIZATION_POLICIES),
      ...{ name, namespace, object: fc.tuple(name, labels).map(([n, l]) => policy(n, '', l)) },
    }),
    fc.record({
      type: fc.constant(PEER_AUTHENTICATIONS),
      ...{ name, namespace },
      object: fc.tuple(name, labels, fc.boolean()).map(([n, matchLabels, ports]) => {
        return strict(n, '', {
          selector: { matchLabels },
          ...(ports && { portLevelMtls: { 8080: { mode: 'DISABLE' } } }),
        })
      }),
    }),
    fc.record({
      type: fc.constant(SERVICE_ENTRIES),
      ...{ name, namespace },
      object: fc.tuple(name, labels).map(([n, l]) => {
        const spec = {
          hosts: [`${n}.example`],
          ports: [{ number: 80 }],
          resolution: 'STATIC',
          workloadSelector: { labels: l },
        }
        return { apiVersion: 'v1', kind: 'ServiceEntry', metadata: meta(n), spec }
      }),
    }),
    fc.record({
      type: fc.constant(WORKLOAD_ENTRIES),
      ...{ name, namespace },
      object: fc.tuple(name, labels).map(([n, l]) => {
        return { apiVersion: 'v1', kind: 'WorkloadEntry', metadata: meta(n, l), spec: { address: '1.2.3.4' } }
      }),
    }),
    fc.record({
      type: fc.constant(NODES),
      ...{ name, namespace: fc.constant('') },
      object: fc.tuple(fc.constantFrom('eu', 'us'), network).map(([zone, of]) => {
        const metadata = { name: 'n1', labels: { 'topology.kubernetes.io/zone': zone, ...of } }
        return { apiVersion: 'v1', kind: 'Node', metadata, spec: {} }
      }),
    }),
    fc.record({
      type: fc.constant(NAMESPACES),
      ...{ name, namespace: fc.constant('') },
      object: fc.tuple(namespace, fc.constantFrom('ambient', 'none'), labels, network).map(([n, mode, l, of]) => {
        const metadata = { name: n, labels: { ...l, 'istio.io/dataplane-mode': mode, ...of } }
        return { apiVersion: 'v1', kind: 'Namespace', metadata }
      }),
    }),
    fc.record({
      type: fc.constant(GATEWAYS),
      ...{ name, namespace },
      object: fc
        .tuple(
          name,
          fc.constantFrom('istio-waypoint', 'istio-east-west', 'istio-remote', 'other'),
          fc.constantFrom('all', 'workload'),
          fc.boolean(),
          network,
        )
        .map(([n, gatewayClassName, traffic, ready, of]) => ({
          ...{ apiVersion: 'v1', kind: 'Gateway', metadata: meta(n, { 'istio.io/waypoint-for': traffic, ...of }) },
          spec: {
            gatewayClassName,
            listeners: [
              { name: 'mesh', port: 15008, protocol: 'HBONE', allowedRoutes: { namespaces: { from: 'All' } } },
            ],
          },
          status: ready ? { addresses: [{ value: '10.96.0.9' }] } : {},
        })),
    }),
    fc.record({
      type: fc.constant(GATEWAY_CLASSES),
      ...{ name, namespace: fc.constant('') },
      object: fc
        .constantFrom('istio.io/mesh-controller', 'istio.io/eastwest-controller', 'somebody-else')
        .map((controllerName) => {
          return { apiVersion: 'v1', kind: 'GatewayClass', metadata: { name: 'other' }, spec: { controllerName } }
        }),
    }),
  )

  it('step by step leads where starting anew leads', async () => {
    const steps = fc.array(fc.tuple(change, fc.boolean()), { maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const bench = new Bench()
        for (const [{ type, namespace: of, object }, remove] of all) {
          const placed = of ? inNamespace(object, of) : object
          const key = of ? `${of}/${object.metadata.name}` : object.metadata.name
          if (remove) await bench.remove(type, key)
          else await bench.put(type, placed)
        }
        const fresh = new VersionedResources()
        using _ = bench.translate(fresh)
        expect(bench.snapshot()).toEqual(bench.snapshot(fresh))
      }),
      { numRuns: 300, seed: 1 },
    )
  })
})
