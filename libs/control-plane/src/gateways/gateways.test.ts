import { type Gateway, getCondition, type HttpRoute, type Pod, type Resource } from '@ambient-lab/api'
import { eventually } from '@ambient-lab/testing'
import {
  ADDRESS_TYPE,
  ASSIGNMENT_TYPE,
  type Assignment,
  CLUSTER_TYPE,
  FILTER_CHAIN_TYPE,
  type FilterChain,
  L7_PROXY_TYPE,
  type WorkloadReport,
} from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ControlPlaneBench, runningReport } from '../control-plane.conformance.ts'
import {
  DEPLOYMENTS,
  GATEWAY_CLASSES,
  GATEWAYS,
  HTTP_ROUTES,
  NAMESPACES,
  PODS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from '../stored-kinds.ts'

const HOST = 'reviews.default.svc.cluster.local'

function waypoint(name = 'waypoint', more: Partial<Gateway['metadata']> = {}): Gateway {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name, namespace: 'default', ...more },
    spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
  }
}

function service(name: string, labels: Record<string, string> = {}): Resource {
  const spec = { selector: { app: name }, ports: [{ name: 'http', port: 9080 }] }
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default', labels }, spec }
}

function route(name: string, spec: object): HttpRoute {
  const metadata = { name, namespace: 'default' }
  return { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute', metadata, spec }
}

/** What a waypoint's worker says once it listens. */
function reportOf(assignment: Assignment): WorkloadReport | undefined {
  const report = runningReport(assignment)
  if (assignment.proxy === undefined) return report
  return { ...report, captured: false, ports: { 15008: { host: '127.0.0.1', port: 34567 } } }
}

describe('a waypoint', () => {
  it('becomes a service account, a Deployment and a Service, and pods that name their proxy', async () => {
    await using bench = await ControlPlaneBench.start()
    const agent = await bench.join('n1', { reportOf })
    await bench.create(GATEWAYS, waypoint())
    expect(bench.get(SERVICE_ACCOUNTS, 'default/waypoint').metadata.labels).toMatchObject({
      'gateway.istio.io/managed': 'istio.io-mesh-controller',
    })
    expect(bench.get(DEPLOYMENTS, 'default/waypoint').metadata.ownerReferences).toMatchObject([
      { kind: 'Gateway', name: 'waypoint', controller: true },
    ])
    expect(bench.get(SERVICES, 'default/waypoint').spec).toMatchObject({
      type: 'ClusterIP',
      selector: { 'gateway.networking.k8s.io/gateway-name': 'waypoint' },
      ports: [
        { name: 'status-port', port: 15021, appProtocol: 'tcp' },
        { name: 'mesh', port: 15008, appProtocol: 'hbone' },
      ],
    })
    const [assignment] = [...(agent.held.get(ASSIGNMENT_TYPE)?.values() ?? [])] as Assignment[]
    expect(assignment).toMatchObject({ proxy: 'default/waypoint', serviceAccount: 'waypoint', captured: false })
    expect(assignment?.containers).toMatchObject([{ image: 'istio/proxyv2' }])
    expect(bench.resource(ADDRESS_TYPE, assignment!.uid)).toMatchObject({
      workload: {
        ...{ nativeTunnel: true, tunnelProtocol: 'HBONE', status: 'HEALTHY' },
        hbone: { host: '127.0.0.1', port: 34567 },
        services: { 'default/waypoint.default.svc.cluster.local': expect.anything() },
      },
    })
    expect(agent.held.get(L7_PROXY_TYPE)?.get('default/waypoint')).toMatchObject({
      ...{ kind: 'waypoint', workloads: [assignment!.uid], ports: [], pathNormalization: 'BASE' },
    })
  })

  it('is programmed once a pod was ready, and keeps its address when none is any more', async () => {
    let ready = false
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1', {
      reportOf: (assignment) => ({ ...reportOf(assignment)!, ready, reason: ready ? '' : 'Starting' }),
    })
    await bench.create(GATEWAYS, waypoint())
    const before = bench.get(GATEWAYS, 'default/waypoint')
    expect(before.status?.addresses).toBeUndefined()
    expect(getCondition(before, 'Accepted')).toMatchObject({ status: 'True', reason: 'Accepted' })
    expect(getCondition(before, 'Programmed')).toMatchObject({ status: 'False', reason: 'AddressNotUsable' })
    ready = true
    await bench.controlPlane.cluster.remove(PODS, podKey(bench))
    await bench.settle()
    const programmed = bench.get(GATEWAYS, 'default/waypoint')
    const address = { type: 'Hostname', value: 'waypoint.default.svc.cluster.local' }
    expect(programmed.status?.addresses).toEqual([address])
    expect(getCondition(programmed, 'Programmed')).toMatchObject({ status: 'True', observedGeneration: 1 })
    expect(programmed.status?.listeners).toMatchObject([{ name: 'mesh', attachedRoutes: 0, supportedKinds: [] }])
    await bench.agents.get('n1')!.client[Symbol.asyncDispose]()
    await bench.settle()
    const after = bench.get(GATEWAYS, 'default/waypoint')
    expect(getCondition(after, 'Programmed')).toMatchObject({ status: 'False' })
    expect(after.status?.addresses).toEqual([address])
  })

  it('goes with everything that was made for it', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1', { reportOf })
    await bench.create(GATEWAYS, waypoint())
    await bench.controlPlane.cluster.remove(GATEWAYS, 'default/waypoint')
    await bench.settle(1500)
    expect(bench.list(DEPLOYMENTS)).toEqual([])
    expect(bench.list(PODS, 'default')).toEqual([])
    expect(bench.list(SERVICES)).toEqual([])
    for (const type of [L7_PROXY_TYPE, CLUSTER_TYPE, FILTER_CHAIN_TYPE] as const) expect(bench.names(type)).toEqual([])
  })

  it('takes its replicas from an annotation, and what it deploys from its ConfigMap', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1', { reportOf })
    await bench.controlPlane.cluster.create('/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'options', namespace: 'default' },
      data: { deployment: 'spec:\n  replicas: 3\n', service: 'spec: [' },
    })
    const { spec } = waypoint()
    const parametersRef = { group: '', kind: 'ConfigMap', name: 'options' }
    await bench.create(GATEWAYS, waypoint('two', { annotations: { 'ambient.lab/replicas': '2' } }))
    await bench.create(GATEWAYS, { ...waypoint('three'), spec: { ...spec!, infrastructure: { parametersRef } } })
    expect(bench.get(DEPLOYMENTS, 'default/two').spec?.replicas).toBe(2)
    // The YAML library is loaded when the first ConfigMap is read, and no virtual clock moves that.
    await eventually(async () => {
      await bench.settle()
      expect(bench.get(DEPLOYMENTS, 'default/three').spec?.replicas).toBe(3)
      return true
    })
    expect(bench.get(SERVICES, 'default/three').spec?.ports).toHaveLength(2)
  })

  it('leaves to others what its template does not say: replicas, and the annotation of a restart', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1', { reportOf })
    await bench.create(GATEWAYS, waypoint())
    expect(bench.get(DEPLOYMENTS, 'default/waypoint').spec?.replicas).toBe(1)
    const annotations = { 'kubectl.kubernetes.io/restartedAt': '2026-01-01T00:00:00Z' }
    await bench.controlPlane.cluster.update(DEPLOYMENTS, 'default/waypoint', (current) => {
      const { template } = current.spec!
      const { metadata } = template
      const restarted = {
        ...template,
        metadata: { ...metadata, annotations: { ...metadata?.annotations, ...annotations } },
      }
      return { ...current, spec: { ...current.spec!, replicas: 3, template: restarted } }
    })
    await bench.settle(1500)
    const pods = bench.list(PODS, 'default')
    expect(pods).toHaveLength(3)
    for (const { metadata } of pods) expect(metadata.annotations).toMatchObject(annotations)
  })

  it('takes back what others changed of its template, and what its template no longer says', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1', { reportOf })
    await bench.create(GATEWAYS, waypoint('waypoint', { labels: { team: 'a' } }))
    const key = 'default/waypoint'
    await bench.controlPlane.cluster.update(DEPLOYMENTS, key, (current) => ({
      ...current,
      metadata: { ...current.metadata, labels: { ...current.metadata.labels, team: 'b', theirs: 'yes' } },
    }))
    await bench.settle()
    expect(bench.get(DEPLOYMENTS, key).metadata.labels).toMatchObject({ team: 'a', theirs: 'yes' })
    const { generation } = bench.get(DEPLOYMENTS, key).metadata
    await bench.controlPlane.cluster.update(GATEWAYS, key, ({ metadata: { labels: _, ...metadata }, ...rest }) => ({
      ...rest,
      metadata,
    }))
    await bench.settle()
    const { labels } = bench.get(DEPLOYMENTS, key).metadata
    expect(labels).toMatchObject({ theirs: 'yes' })
    expect(labels).not.toHaveProperty('team')
    // Labels go on to the pods: one new template, and nothing that is written again and again.
    expect(bench.get(DEPLOYMENTS, key).metadata.generation).toBe(generation! + 1)
    await bench.settle(1500)
    expect(bench.get(DEPLOYMENTS, key).metadata.generation).toBe(generation! + 1)
  })

  it('leaves alone what others made under its name', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.create(SERVICES, service('waypoint') as never)
    await bench.create(GATEWAYS, waypoint())
    expect(bench.get(SERVICES, 'default/waypoint').spec?.selector).toEqual({ app: 'waypoint' })
  })
})

describe('the L7 configuration of a service', () => {
  async function meshed() {
    const bench = await ControlPlaneBench.start()
    const agent = await bench.join('n1', { reportOf })
    await bench.create(GATEWAYS, waypoint())
    const other = await bench.join('n2', { reportOf })
    await bench.create(SERVICES, service('reviews', { 'istio.io/use-waypoint': 'waypoint' }) as never)
    return { bench, agent, other }
  }
  const chain = (bench: ControlPlaneBench) =>
    bench.resource(FILTER_CHAIN_TYPE, `default/waypoint|${HOST}|9080`) as FilterChain

  it('is a default route with default retries, told only to the nodes of its waypoint', async () => {
    const { bench, agent, other } = await meshed()
    await using _ = bench
    expect(chain(bench)).toMatchObject({
      proxy: 'default/waypoint',
      match: { kind: 'service', service: `default/${HOST}`, port: 9080 },
      http: {
        virtualHosts: [
          {
            domains: ['*'],
            routes: [
              {
                name: 'default',
                match: {},
                action: {
                  forward: { backends: [{ cluster: `inbound-vip|9080|http|${HOST}` }], retry: { attempts: 2 } },
                },
              },
            ],
          },
        ],
      },
    })
    expect(agent.held.get(FILTER_CHAIN_TYPE)?.size).toBe(1)
    expect(agent.held.get(CLUSTER_TYPE)?.has(`inbound-vip|9080|http|${HOST}`)).toBe(true)
    for (const type of [FILTER_CHAIN_TYPE, CLUSTER_TYPE, L7_PROXY_TYPE] as const) {
      expect(other.held.get(type)?.size ?? 0).toBe(0)
    }
  })

  it('follows its HTTPRoutes, whose statuses say so', async () => {
    const { bench } = await meshed()
    await using _ = bench
    const parentRefs = [{ group: '', kind: 'Service', name: 'reviews' }]
    const rules = [
      { matches: [{ path: { type: 'PathPrefix', value: '/v2/' } }], backendRefs: [{ name: 'gone', port: 9080 }] },
      { backendRefs: [{ name: 'reviews', port: 9080, weight: 3 }] },
    ]
    await bench.create(HTTP_ROUTES, route('split', { parentRefs, rules }))
    expect(chain(bench).http?.virtualHosts[0]?.routes).toMatchObject([
      {
        name: 'default.split.0',
        match: { path: { pathSegments: '/v2' } },
        action: { forward: { backends: [{ weight: 1 }] } },
      },
      { name: 'default.split.1', action: { forward: { backends: [{ cluster: expect.any(String), weight: 3 }] } } },
    ])
    expect(bench.get(HTTP_ROUTES, 'default/split').status?.parents).toMatchObject([
      {
        controllerName: 'istio.io/gateway-controller',
        conditions: [
          { type: 'Accepted', status: 'True', message: 'Route was valid' },
          {
            type: 'ResolvedRefs',
            status: 'False',
            reason: 'BackendNotFound',
            message: 'backend(gone.default.svc.cluster.local) not found',
          },
        ],
      },
    ])
    await bench.create(SERVICES, service('gone') as never)
    expect(chain(bench).http?.virtualHosts[0]?.routes).toMatchObject([
      { action: { forward: { backends: [{ cluster: 'inbound-vip|9080|http|gone.default.svc.cluster.local' }] } } },
      {},
    ])
    expect(bench.names(CLUSTER_TYPE)).toContain('inbound-vip|9080|http|gone.default.svc.cluster.local')
    expect(bench.get(HTTP_ROUTES, 'default/split').status?.parents?.[0]?.conditions?.[1]).toMatchObject({
      status: 'True',
    })
    await bench.controlPlane.cluster.remove(HTTP_ROUTES, 'default/split')
    await bench.settle()
    expect(chain(bench).http?.virtualHosts[0]?.routes).toMatchObject([{ name: 'default' }])
  })

  it('goes away with the label of its namespace', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1', { reportOf })
    await bench.create(GATEWAYS, waypoint())
    await bench.create(SERVICES, service('reviews') as never)
    const label = (labels: Record<string, string>) =>
      bench.controlPlane.cluster.update(NAMESPACES, 'default', (namespace) => ({
        ...namespace,
        metadata: { ...namespace.metadata, labels },
      }))
    await label({ 'istio.io/use-waypoint': 'waypoint' })
    await bench.settle()
    expect(bench.names(FILTER_CHAIN_TYPE)).toEqual([`default/waypoint|${HOST}|9080`])
    await label({})
    await bench.settle()
    expect(bench.names(FILTER_CHAIN_TYPE)).toEqual([])
  })
})

it('has GatewayClasses from the start, accepted, and makes them anew', async () => {
  await using bench = await ControlPlaneBench.start()
  const names = ['istio', 'istio-east-west', 'istio-remote', 'istio-waypoint']
  expect(bench.list(GATEWAY_CLASSES).map(({ metadata }) => metadata.name)).toEqual(names)
  await bench.controlPlane.cluster.remove(GATEWAY_CLASSES, 'istio-waypoint')
  await bench.settle()
  const anew = bench.get(GATEWAY_CLASSES, 'istio-waypoint')
  expect(anew.spec?.controllerName).toBe('istio.io/mesh-controller')
  expect(getCondition(anew, 'Accepted')).toMatchObject({ status: 'True', message: 'Handled by Istio controller' })
})

describe('an ingress gateway', () => {
  const gateway: Gateway = {
    ...waypoint('ingress'),
    spec: {
      gatewayClassName: 'istio',
      listeners: [
        { name: 'http', port: 80, protocol: 'HTTP', hostname: '*.example.com' },
        { name: 'other', port: 80, protocol: 'HTTP' },
      ],
    },
  }

  it('has its own names, and an address from outside', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1', { reportOf })
    await bench.create(GATEWAYS, gateway)
    const { spec } = bench.get(SERVICES, 'default/ingress-istio')
    expect(spec).toMatchObject({ type: 'LoadBalancer', ports: [{ port: 15021 }, { name: 'http', port: 80 }] })
    expect(bench.get(GATEWAYS, 'default/ingress').status?.addresses).toEqual([
      { type: 'IPAddress', value: spec?.clusterIP },
    ])
    expect(bench.resource(L7_PROXY_TYPE, 'default/ingress')).toMatchObject({
      kind: 'gateway',
      ports: [{ port: 80, protocol: 'HTTP' }],
    })
  })

  it('keeps what a listener names from what a wider one takes', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1', { reportOf })
    await bench.create(SERVICES, service('reviews') as never)
    await bench.create(GATEWAYS, gateway)
    const backendRefs = [{ name: 'reviews', port: 9080 }]
    const parentRefs = (sectionName: string) => [{ name: 'ingress', sectionName }]
    await bench.create(HTTP_ROUTES, route('wide', { parentRefs: parentRefs('other'), rules: [{ backendRefs }] }))
    await bench.create(
      HTTP_ROUTES,
      route('named', {
        parentRefs: parentRefs('http'),
        hostnames: ['a.example.com', 'b.org'],
        rules: [{ backendRefs }],
      }),
    )
    const found = bench.resource(FILTER_CHAIN_TYPE, 'default/ingress|http.80|80')
    const hosts = found?.http?.virtualHosts.map(({ domains, routes }) => [domains[0], routes.map(({ name }) => name)])
    expect(hosts).toEqual([
      ['a.example.com', ['default.named.0']],
      ['*.example.com', []],
      ['*', ['default.wide.0']],
    ])
    expect(bench.names(CLUSTER_TYPE)).toEqual([`outbound|9080||${HOST}`])
    expect(bench.get(GATEWAYS, 'default/ingress').status?.listeners).toMatchObject([
      { name: 'http', attachedRoutes: 1 },
      { name: 'other', attachedRoutes: 1 },
    ])
  })
})

function podKey(bench: ControlPlaneBench): string {
  const [pod] = bench.list(PODS, 'default') as readonly Pod[]
  return `default/${pod!.metadata.name}`
}
