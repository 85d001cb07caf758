import { type Gateway, getCondition, isConditionTrue, type L4TrafficPolicy, type Service } from '@ambient-lab/api'
import { createCsr, generateKeyPair } from '@ambient-lab/pki'
import { VirtualClock } from '@ambient-lab/std'
import { temporaryFolder } from '@ambient-lab/testing'
import {
  ADDRESS_TYPE,
  ASSIGNMENT_TYPE,
  type Assignment,
  type Service as MeshService,
  NODE_TYPE,
} from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ControlPlaneBench, deployment, runningReport, service } from './control-plane.conformance.ts'
import { MemoryStore } from './store/memory-store.ts'
import { SqliteStore } from './store/sqlite-store.ts'
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  ENDPOINT_SLICES,
  EVENTS,
  GATEWAYS,
  L4_TRAFFIC_POLICIES,
  NAMESPACES,
  NODES,
  PODS,
  REPLICA_SETS,
  SERVICE_ACCOUNTS,
  SERVICE_ENTRIES,
  SERVICES,
  type ServiceEntry,
} from './stored-kinds.ts'

describe('a new lab', () => {
  it('has its namespaces, each with a default service account', async () => {
    await using bench = await ControlPlaneBench.start()
    expect(bench.list(NAMESPACES).map(({ metadata }) => metadata.name)).toEqual([
      'default',
      'istio-system',
      'kube-system',
    ])
    expect(bench.list(SERVICE_ACCOUNTS)).toHaveLength(3)
    expect(bench.get(NAMESPACES, 'default').metadata.labels).toEqual({ 'kubernetes.io/metadata.name': 'default' })
  })
})

describe('from a Deployment to its pods', () => {
  it('makes a ReplicaSet and pods, spreads them, gives them addresses, and they become ready', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    await bench.join('n2')
    await bench.create(DEPLOYMENTS, deployment('web', 3))
    const [set] = bench.list(REPLICA_SETS)
    expect(set!.metadata.name).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]{6,10}$/)
    const pods = bench.readyPods('web')
    expect(pods.map(({ metadata }) => metadata.name.startsWith(`${set!.metadata.name}-`))).toEqual([true, true, true])
    expect(pods.map(({ spec }) => spec?.nodeName).sort()).toEqual(['n1', 'n1', 'n2'])
    expect(pods.map(({ status }) => status?.podIP).sort()).toEqual(['10.244.1.2', '10.244.1.3', '10.244.2.2'])
    expect(bench.get(DEPLOYMENTS, 'default/web').status).toMatchObject({ readyReplicas: 3, availableReplicas: 3 })
    expect(isConditionTrue(bench.get(DEPLOYMENTS, 'default/web'), 'Available')).toBe(true)
  })

  it('comes to rest: nothing is written when nothing changes', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    await bench.create(DEPLOYMENTS, deployment('web', 2))
    await bench.create(SERVICES, service('web'))
    await bench.settle(1000)
    const { revision } = bench.store
    await bench.settle(20_000)
    expect(bench.store.revision).toBe(revision)
    expect(bench.controlPlane.idle).toBe(true)
  })

  it('scales up and down', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    await bench.create(DEPLOYMENTS, deployment('web', 1))
    await scale(bench, 4)
    expect(bench.readyPods('web')).toHaveLength(4)
    await scale(bench, 1)
    expect(bench.pods('web')).toHaveLength(1)
  })

  it('replaces a pod that is deleted', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    await bench.create(DEPLOYMENTS, deployment('web', 1))
    const [before] = bench.pods('web')
    await bench.controlPlane.cluster.remove(PODS, `default/${before!.metadata.name}`)
    await bench.settle()
    const [after] = bench.readyPods('web')
    expect(after!.metadata.name).not.toBe(before!.metadata.name)
    expect(after!.status?.podIP).not.toBe(before!.status?.podIP)
  })

  it('restarts by a template annotation without ever having too few ready pods', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    const rollingUpdate = { maxSurge: 1, maxUnavailable: 0 }
    await bench.create(DEPLOYMENTS, deployment('web', 3, { strategy: { type: 'RollingUpdate', rollingUpdate } }))
    const before = new Set(bench.pods('web').map(({ metadata }) => metadata.name))
    await restart(bench)
    for (let step = 0; step < 200; step += 1) {
      await bench.clock.advance(5)
      expect(bench.readyPods('web').length).toBeGreaterThanOrEqual(3)
      expect(bench.pods('web').filter(({ metadata }) => !metadata.deletionTimestamp).length).toBeLessThanOrEqual(4)
    }
    expect(bench.readyPods('web').filter(({ metadata }) => before.has(metadata.name))).toEqual([])
    expect(
      bench
        .list(REPLICA_SETS)
        .map(({ spec }) => spec?.replicas)
        .sort(),
    ).toEqual([0, 3])
    expect(bench.pods('web')).toHaveLength(3)
  })

  it('goes with all it made when the Deployment is deleted', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    await bench.create(DEPLOYMENTS, deployment('web', 2))
    await bench.controlPlane.cluster.remove(DEPLOYMENTS, 'default/web')
    await bench.settle(500)
    expect([bench.list(REPLICA_SETS), bench.list(PODS)]).toEqual([[], []])
  })

  it('goes with its namespace', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    await bench.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } })
    const web = deployment('web', 2)
    await bench.create(DEPLOYMENTS, { ...web, metadata: { ...web.metadata, namespace: 'shop' } })
    expect(bench.list(PODS, 'shop')).toHaveLength(2)
    await bench.controlPlane.cluster.update(NAMESPACES, 'shop', (current) => ({
      ...current,
      metadata: { ...current.metadata, deletionTimestamp: bench.controlPlane.cluster.now() },
    }))
    await bench.settle(500)
    expect(bench.list(PODS, 'shop')).toEqual([])
    expect(bench.list(SERVICE_ACCOUNTS, 'shop')).toEqual([])
    expect(bench.controlPlane.cluster.get(NAMESPACES, 'shop')).toBeUndefined()
  })
})

describe('scheduling', () => {
  it('says why a pod has no place, once, and places it when there is one', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.create(DEPLOYMENTS, deployment('web', 1))
    expect(bench.pods('web')[0]!.status?.conditions).toMatchObject([
      { type: 'PodScheduled', status: 'False', message: 'no nodes available to schedule pods' },
    ])
    const failures = () => bench.list(EVENTS).filter(({ reason }) => reason === 'FailedScheduling')
    expect(failures()).toHaveLength(1)
    await bench.join('n1')
    expect(bench.readyPods('web')).toHaveLength(1)
  })

  it('places pods on nodes that are on their way, so that agents find them when they come', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, spec: {} })
    await bench.create(DEPLOYMENTS, deployment('web', 1))
    expect(bench.pods('web')[0]!.spec?.nodeName).toBe('n1')
  })
})

describe('volumes', () => {
  it('keep a pod waiting until their ConfigMap is there, and it says so', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    const web = deployment('web', 1)
    const { template } = web.spec!
    const volumes = [{ name: 'policy', configMap: { name: 'rules' } }]
    const spec = { ...web.spec!, template: { ...template, spec: { ...template.spec, volumes } } }
    await bench.create(DEPLOYMENTS, { ...web, spec })
    const message = 'MountVolume.SetUp failed for volume "policy" : configmap "rules" not found'
    expect(bench.pods('web')[0]).toMatchObject({ spec: { nodeName: 'n1' }, status: { phase: 'Pending' } })
    expect(bench.pods('web')[0]!.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'False', reason: 'ContainerCreating', message }),
    )
    expect(bench.list(EVENTS)).toContainEqual(
      expect.objectContaining({ reason: 'FailedMount', message, source: { component: 'kubelet', host: 'n1' } }),
    )
    await bench.create(CONFIG_MAPS, {
      ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'rules', namespace: 'default' } },
      data: { a: 'b' },
    })
    expect(bench.readyPods('web')).toHaveLength(1)
    await bench.controlPlane.cluster.remove(CONFIG_MAPS, 'default/rules')
    await bench.settle()
    expect(bench.readyPods('web')).toHaveLength(1)
  })
})

describe('services', () => {
  it('get addresses of their own, keep the ones they chose, and give them back', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.create(SERVICES, service('chosen', { clusterIP: '10.96.0.16' }))
    await bench.create(SERVICES, service('a'))
    await bench.create(SERVICES, service('headless', { clusterIP: 'None' }))
    expect(bench.get(SERVICES, 'default/a').spec?.clusterIP).toBe('10.96.0.17')
    expect(bench.get(SERVICES, 'default/headless').spec?.clusterIP).toBe('None')
  })

  it('have EndpointSlices that follow their pods', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    await bench.create(SERVICES, service('web'))
    expect(bench.list(ENDPOINT_SLICES)).toHaveLength(1)
    await bench.create(DEPLOYMENTS, deployment('web', 2))
    const [slice] = bench.list(ENDPOINT_SLICES)
    expect(slice!.endpoints.map(({ conditions }) => conditions?.ready)).toEqual([true, true])
    expect(slice!.ports).toEqual([{ name: 'http', port: 8080, protocol: 'TCP' }])
    await bench.controlPlane.cluster.remove(SERVICES, 'default/web')
    await bench.settle()
    expect(bench.list(ENDPOINT_SLICES)).toEqual([])
  })
})

describe('ServiceEntries', () => {
  const entry = (name: string, spec: ServiceEntry['spec'] & object): ServiceEntry => ({
    ...{ apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata: { name, namespace: 'default' } },
    spec: { ports: [{ number: 80, name: 'http' }], ...spec },
  })
  const hosts = (bench: ControlPlaneBench, name: string) =>
    bench.get(SERVICE_ENTRIES, `default/${name}`).status?.addresses?.map(({ host }) => host)

  it('that bring no address get one of each family for each host, which goes with the host', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.create(SERVICE_ENTRIES, entry('se', { hosts: ['a.test', '*.b.test', 'c.test'], resolution: 'DNS' }))
    expect(hosts(bench, 'se')).toEqual(['a.test', 'a.test', 'c.test', 'c.test'])
    const { addresses } = bench.get(SERVICE_ENTRIES, 'default/se').status!
    expect(addresses!.map(({ value }) => value.replace(/[0-9a-f]+(\.\d+)?$/, '*'))).toEqual([
      ...['240.240.*', '2001:2::*', '240.240.*', '2001:2::*'],
    ])
    await bench.controlPlane.cluster.update(SERVICE_ENTRIES, 'default/se', (current) => ({
      ...current,
      spec: { ...current.spec, hosts: ['c.test'] },
    }))
    await bench.settle()
    expect(hosts(bench, 'se')).toEqual(['c.test', 'c.test'])
  })

  it.each<[string, ServiceEntry['spec'] & object]>([
    ['with an address of its own', { hosts: ['a.test'], resolution: 'STATIC', addresses: ['1.2.3.4'] }],
    ['that resolves nothing', { hosts: ['a.test'], resolution: 'NONE' }],
    ['for a wildcard', { hosts: ['*.a.test'], resolution: 'DNS' }],
  ])('get none: one %s', async (_, spec) => {
    await using bench = await ControlPlaneBench.start()
    await bench.create(SERVICE_ENTRIES, entry('se', spec))
    expect(hosts(bench, 'se')).toBeUndefined()
  })

  it('of one host never share an address', async () => {
    await using bench = await ControlPlaneBench.start()
    for (let index = 0; index < 40; index += 1) {
      await bench.controlPlane.cluster.create(
        SERVICE_ENTRIES,
        entry(`se${index}`, { hosts: ['a.test'], resolution: 'DNS' }),
      )
    }
    await bench.settle()
    const values = bench.list(SERVICE_ENTRIES).flatMap(({ status }) => status!.addresses!.map(({ value }) => value))
    expect(new Set(values).size).toBe(80)
  })
})

describe('waypoints', () => {
  const bound = (bench: ControlPlaneBench, key: string) => {
    const found = getCondition(bench.get(SERVICES, key), 'istio.io/WaypointBound')
    return found && `${found.status} ${found.reason}: ${found.message}`
  }
  const gateway = (name: string, ready: boolean): Gateway => ({
    ...{ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway', metadata: { name, namespace: 'default' } },
    spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
    ...(ready && { status: { addresses: [{ type: 'Hostname', value: `${name}.default.svc.cluster.local` }] } }),
  })

  it('are told of in the status of who asks for one, from not being there to being used to being asked for no more', async () => {
    await using bench = await ControlPlaneBench.start()
    const labels = { 'istio.io/use-waypoint': 'wp' }
    const service = (of: Record<string, string>): Service => ({
      ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'default', labels: of } },
      spec: { ports: [{ port: 80 }] },
    })
    await bench.create(SERVICES, service(labels))
    expect(bound(bench, 'default/web')).toBe('False WaypointIsNotReady: waypoint "default/wp" is not ready')
    await bench.create(GATEWAYS, gateway('wp', false))
    expect(bound(bench, 'default/web')).toMatch(/WaypointIsNotReady/)
    const { cluster } = bench.controlPlane
    await cluster.update(GATEWAYS, 'default/wp', (current) => ({ ...current, status: gateway('wp', true).status! }))
    await bench.settle()
    expect(bound(bench, 'default/web')).toBe('True WaypointAccepted: Successfully attached to waypoint default/wp')
    await cluster.update(SERVICES, 'default/web', (current) => ({
      ...current,
      metadata: { ...current.metadata, labels: {} },
    }))
    await bench.settle()
    expect(bound(bench, 'default/web')).toBeUndefined()
  })

  it('share a service’s connections out to a canary, and keep the primary alone when the canary is no good', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.create(GATEWAYS, gateway('wp', true))
    await bench.create(GATEWAYS, gateway('next', true))
    const metadata = (weight: string) => ({
      ...{ name: 'web', namespace: 'default' },
      labels: { 'istio.io/use-waypoint': 'wp', 'istio.io/use-waypoint-canary': 'next' },
      annotations: { 'istio.io/use-waypoint-canary-weight': weight },
    })
    const served = () => {
      const { resource } = bench.controlPlane.resources.get(ADDRESS_TYPE, 'default/web.default.svc.cluster.local')!
      return (resource as { service: MeshService }).service.weightedWaypoints?.map(({ weight }) => weight)
    }
    await bench.create(SERVICES, {
      ...{ apiVersion: 'v1', kind: 'Service', metadata: metadata('20') },
      spec: { ports: [{ port: 80 }] },
    })
    expect(served()).toEqual([80, 20])
    await bench.controlPlane.cluster.update(SERVICES, 'default/web', (current) => ({
      ...current,
      metadata: { ...current.metadata, ...metadata('many') },
    }))
    await bench.settle()
    expect(served()).toBeUndefined()
    expect(bound(bench, 'default/web')).toBe(
      'False CanaryInvalidWeight: canary waypoint "default/next" has an invalid weight; must be an integer in [0,100]',
    )
  })
})

describe('L4TrafficPolicies', () => {
  const policy = (name: string, target: string, fields: object): L4TrafficPolicy => ({
    ...{ apiVersion: 'ambient.lab/v1alpha1', kind: 'L4TrafficPolicy', metadata: { name, namespace: 'default' } },
    spec: { targetRefs: [{ kind: 'Service', name: target }], ...fields },
  })
  const accepted = (bench: ControlPlaneBench, name: string) => {
    const { status, reason, message } = getCondition(bench.get(L4_TRAFFIC_POLICIES, `default/${name}`), 'Accepted')!
    expect(message).toContain('Istio’s ztunnel has no such policy')
    return `${status} ${reason}`
  }
  const served = (bench: ControlPlaneBench) => {
    const { resource } = bench.controlPlane.resources.get(ADDRESS_TYPE, 'default/web.default.svc.cluster.local')!
    return (resource as { service: MeshService }).service.l4Traffic
  }

  it('reach the callers of their service, the oldest one only, and go again', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.create(L4_TRAFFIC_POLICIES, policy('first', 'web', { connectTimeout: '2s', connectRetries: 1 }))
    expect(accepted(bench, 'first')).toBe('False TargetNotFound')
    await bench.create(SERVICES, service('web'))
    await bench.settle(2000)
    expect(accepted(bench, 'first')).toBe('True Accepted')
    expect(served(bench)).toEqual({ policy: 'default/first', connectTimeoutMs: 2000, connectRetries: 1 })
    await bench.create(L4_TRAFFIC_POLICIES, policy('second', 'web', { maxConnections: 3, outlierDetection: {} }))
    expect(accepted(bench, 'second')).toBe('False Conflicted')
    await bench.controlPlane.cluster.remove(L4_TRAFFIC_POLICIES, 'default/first')
    await bench.settle()
    expect(accepted(bench, 'second')).toBe('True Accepted')
    const outlier = { consecutiveFailures: 5, baseEjectionMs: 30_000, ejectionPercentMax: 50 }
    expect(served(bench)).toEqual({ policy: 'default/second', connectionsMax: 3, outlier })
    await bench.controlPlane.cluster.remove(L4_TRAFFIC_POLICIES, 'default/second')
    await bench.settle()
    expect(served(bench)).toBeUndefined()
  })
})

describe('agents', () => {
  it('are told of their own pods, and of every workload', async () => {
    await using bench = await ControlPlaneBench.start()
    const first = await bench.join('n1')
    const second = await bench.join('n2')
    await bench.create(SERVICES, service('web'))
    await bench.create(DEPLOYMENTS, deployment('web', 2))
    expect(first.held.get(ASSIGNMENT_TYPE)?.size).toBe(1)
    expect(second.held.get(ASSIGNMENT_TYPE)?.size).toBe(1)
    expect([...first.held.get(ADDRESS_TYPE)!.keys()]).toEqual([...second.held.get(ADDRESS_TYPE)!.keys()])
    expect(first.held.get(ADDRESS_TYPE)?.size).toBe(3)
  })

  it('make the pods of an ambient namespace HBONE when they have captured them', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    await bench.create(DEPLOYMENTS, deployment('web', 1))
    const uid = bench.names(ADDRESS_TYPE)[0]!
    expect(bench.resource(ADDRESS_TYPE, uid)).toMatchObject({ workload: { tunnelProtocol: 'NONE', status: 'HEALTHY' } })
    await bench.controlPlane.cluster.update(NAMESPACES, 'default', (namespace) => ({
      ...namespace,
      metadata: {
        ...namespace.metadata,
        labels: { ...namespace.metadata.labels, 'istio.io/dataplane-mode': 'ambient' },
      },
    }))
    await bench.settle()
    expect(bench.pods('web')[0]!.metadata.annotations).toEqual({ 'ambient.istio.io/redirection': 'enabled' })
    expect(bench.resource(ADDRESS_TYPE, uid)).toMatchObject({ workload: { tunnelProtocol: 'HBONE' } })
  })

  it('leave their pods not ready within 100 ms when they die, and find them again when they return', async () => {
    await using bench = await ControlPlaneBench.start()
    const agent = await bench.join('n1')
    const watcher = await bench.join('n2')
    await bench.create(DEPLOYMENTS, deployment('web', 2))
    const uid = `Kubernetes//Pod/default/${bench.pods('web').find(({ spec }) => spec?.nodeName === 'n1')!.metadata.name}`
    const seen = () => watcher.held.get(ADDRESS_TYPE)?.get(uid)
    expect(seen()).toMatchObject({ workload: { status: 'HEALTHY' } })
    agent.kill()
    await bench.clock.advance(100)
    expect(seen()).toMatchObject({ workload: { status: 'UNHEALTHY' } })
    expect(bench.get(NODES, 'n1').status?.conditions).toMatchObject([
      { type: 'Ready', status: 'False', reason: 'AgentGone' },
    ])
    expect(bench.resource(NODE_TYPE, 'n1')).toMatchObject({ status: 'UNHEALTHY', hbone: { port: 15008 } })
    agent.target = bench.controlPlane
    await bench.settle(1500)
    expect(seen()).toMatchObject({ workload: { status: 'HEALTHY' } })
    expect(isConditionTrue(bench.get(NODES, 'n1'), 'Ready')).toBe(true)
  })

  it('find their pods not ready when they are another process than before, until they report them', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    await bench.create(DEPLOYMENTS, deployment('web', 2))
    expect(bench.readyPods('web')).toHaveLength(2)
    // Nobody saw the first one die: its link still counts as open.
    const restarted = await bench.join('n1', { pid: 2, reportOf: () => undefined })
    expect(bench.pods('web').map(({ status }) => status?.conditions)).toEqual(
      Array.from({ length: 2 }, () =>
        expect.arrayContaining([
          expect.objectContaining({
            ...{ type: 'Ready', status: 'False', reason: 'AgentRestarted' },
            message: 'the agent of node n1 was restarted',
          }),
        ]),
      ),
    )
    for (const assignment of restarted.held.get(ASSIGNMENT_TYPE)!.values()) {
      restarted.report(runningReport(assignment as Assignment))
    }
    await bench.settle()
    expect(bench.readyPods('web')).toHaveLength(2)
  })

  it('show what is wrong with a workload in the words of Kubernetes', async () => {
    await using bench = await ControlPlaneBench.start()
    const agent = await bench.join('n1', { reportOf: () => undefined })
    await bench.create(DEPLOYMENTS, deployment('web', 1))
    const [pod] = bench.pods('web')
    const uid = `Kubernetes//Pod/default/${pod!.metadata.name}`
    const broken = { phase: 'Pending', ready: false, reason: 'ErrImageNeverPull', message: 'no such image' } as const
    agent.report({ uid, ...broken, restarts: 2, startedAtMs: 0, captured: false, ports: {} })
    await bench.settle()
    const { status } = bench.pods('web')[0]!
    expect(status?.containerStatuses).toMatchObject([
      { ready: false, restartCount: 2, state: { waiting: { reason: 'ErrImageNeverPull', message: 'no such image' } } },
    ])
  })

  it.each([
    [
      'another version',
      { version: '0.2.0' },
      'VERSION_MISMATCH',
      'the agent is version 0.2.0, the control plane 0.1.0',
    ],
    [
      'the certificate of another node',
      { certificateName: 'n9' },
      'NODE_MISMATCH',
      'the certificate is that of node n9, not of n1',
    ],
  ])('are refused with %s', async (_, init, code, message) => {
    await using bench = await ControlPlaneBench.start()
    const agent = await bench.join('n1', init)
    expect(agent.refusals.map((reason) => [reason.code, reason.message])).toEqual([[code, message]])
    expect(isConditionTrue(bench.get(NODES, 'n1'), 'Ready')).toBe(false)
  })

  it('are sent away when their node is deleted, and its pods go elsewhere', async () => {
    await using bench = await ControlPlaneBench.start()
    const agent = await bench.join('n1')
    await bench.create(DEPLOYMENTS, deployment('web', 1))
    await bench.join('n2')
    await bench.controlPlane.cluster.remove(NODES, 'n1')
    await bench.settle(500)
    expect(agent.refusals.map(({ code }) => code)).toEqual(['NODE_UNKNOWN'])
    expect(bench.readyPods('web').map(({ spec }) => spec?.nodeName)).toEqual(['n2'])
  })

  it('get certificates for the identities of their own pods only', async () => {
    await using bench = await ControlPlaneBench.start()
    const here = await bench.join('n1')
    const elsewhere = await bench.join('n2')
    await bench.create(DEPLOYMENTS, deployment('web', 1))
    const csr = createCsr(generateKeyPair(), { uri: 'spiffe://cluster.local/ns/default/sa/default' })
    const signed = here.client.sign(csr, 3600)
    const refused = elsewhere.client.sign(csr, 3600)
    refused.catch(() => {})
    await bench.settle()
    expect((await signed).chainPem).toHaveLength(2)
    await expect(refused).rejects.toMatchObject({
      code: 'NOT_PLACED_HERE',
      message: 'no pod of service account default/default is placed on node n2',
    })
  })

  it('write Events about their pods', async () => {
    await using bench = await ControlPlaneBench.start()
    const agent = await bench.join('n1')
    await bench.create(DEPLOYMENTS, deployment('web', 1))
    const name = bench.pods('web')[0]!.metadata.name
    const event = {
      severity: 'Warning',
      reason: 'BackOff',
      message: 'Back-off restarting',
      uid: `Kubernetes//Pod/default/${name}`,
    } as const
    for (let time = 0; time < 3; time += 1) {
      agent.client.report({ events: [{ ...event, atMs: bench.clock.now() }] })
      await bench.settle()
    }
    expect(bench.list(EVENTS).filter(({ reason }) => reason === 'BackOff')).toMatchObject([
      { count: 3, type: 'Warning', involvedObject: { kind: 'Pod', name }, source: { host: 'n1' } },
    ])
  })
})

describe('a store that is full', () => {
  it('makes nothing forgotten that agents told: it is written when there is room', async () => {
    const store = new MemoryStore()
    await using bench = await ControlPlaneBench.start({ store })
    const dying = await bench.join('n1')
    const restarting = await bench.join('n2', { reportOf: () => undefined })
    await bench.create(DEPLOYMENTS, deployment('web', 2))
    expect(bench.readyPods('web')).toHaveLength(1)
    store.isFull = true
    const { revision } = store
    dying.kill()
    for (const assignment of restarting.held.get(ASSIGNMENT_TYPE)!.values()) {
      restarting.report(runningReport(assignment as Assignment))
    }
    await bench.settle(3000)
    expect(store.revision).toBe(revision)
    expect(bench.controlPlane.idle).toBe(false)
    expect(bench.warnings).toContainEqual(expect.stringContaining('no space left'))
    store.isFull = false
    await bench.settle(6000)
    expect(bench.controlPlane.idle).toBe(true)
    expect(bench.readyPods('web').map(({ spec }) => spec?.nodeName)).toEqual(['n2'])
    expect(bench.get(NODES, 'n1').status?.conditions).toMatchObject([{ type: 'Ready', status: 'False' }])
  })

  it('leaves a pod whose time has come where it is, until there is room', async () => {
    const store = new MemoryStore()
    await using bench = await ControlPlaneBench.start({ store })
    await bench.join('n1')
    await bench.create(DEPLOYMENTS, deployment('web', 2))
    await scale(bench, 1, 50)
    expect(bench.pods('web')).toHaveLength(2)
    store.isFull = true
    await bench.settle(500)
    expect(bench.pods('web')).toHaveLength(2)
    store.isFull = false
    await bench.settle(1500)
    expect(bench.pods('web')).toHaveLength(1)
  })
})

describe('a control plane that was restarted', () => {
  it('finds its objects, and its agents resume with nothing to be told', async () => {
    await using folder = await temporaryFolder()
    const clock = new VirtualClock()
    const path = `${folder.path}/store.sqlite`
    const firstStore = new SqliteStore({ init: { path }, components: { clock } })
    const first = await ControlPlaneBench.start({ clock, store: firstStore })
    const agent = await first.join('n1')
    await first.create(SERVICES, service('web'))
    await first.create(DEPLOYMENTS, deployment('web', 2))
    expect(first.readyPods('web')).toHaveLength(2)
    agent.target = undefined
    await first.controlPlane[Symbol.asyncDispose]()
    await firstStore[Symbol.asyncDispose]()
    await first.settle(1000)
    agent.deltas.length = 0

    await using store = new SqliteStore({ init: { path }, components: { clock } })
    const { revision } = store
    await using second = await ControlPlaneBench.start({ clock, store })
    expect(second.readyPods('web')).toHaveLength(2)
    agent.target = second.controlPlane
    await second.settle(10_000)
    expect(agent.client.connected).toBe(true)
    expect(agent.deltas.flatMap(({ upserts, removed }) => [...upserts.map(({ name }) => name), ...removed])).toEqual([])
    expect(second.readyPods('web')).toHaveLength(2)
    expect(store.revision).toBe(revision)
    await agent.client[Symbol.asyncDispose]()
  })

  it('gives the address of a pod that goes to no pod that comes, however short its memory is', async () => {
    const clock = new VirtualClock()
    const first = await ControlPlaneBench.start({ clock })
    const agent = await first.join('n1')
    await first.create(DEPLOYMENTS, deployment('web', 1))
    agent.target = undefined
    await first.controlPlane[Symbol.asyncDispose]()
    await using second = await ControlPlaneBench.start({ clock, store: first.store })
    const [before] = second.pods('web')
    await second.controlPlane.cluster.remove(PODS, `default/${before!.metadata.name}`)
    await second.settle()
    expect([before, ...second.pods('web')].map((pod) => pod!.status?.podIP)).toEqual(['10.244.1.2', '10.244.1.3'])
    await agent.client[Symbol.asyncDispose]()
  })

  it('gives agents five seconds to come back before their pods count as gone', async () => {
    const clock = new VirtualClock()
    const first = await ControlPlaneBench.start({ clock })
    const agent = await first.join('n1')
    await first.create(DEPLOYMENTS, deployment('web', 1))
    agent.target = undefined
    await first.controlPlane[Symbol.asyncDispose]()
    await using second = await ControlPlaneBench.start({ clock, store: first.store })
    await second.settle(4000)
    expect(second.readyPods('web')).toHaveLength(1)
    await second.settle(1500)
    expect(second.readyPods('web')).toHaveLength(0)
    await agent.client[Symbol.asyncDispose]()
  })
})

async function scale(bench: ControlPlaneBench, replicas: number, settleMs = 500): Promise<void> {
  await bench.controlPlane.cluster.update(DEPLOYMENTS, 'default/web', (current) => ({
    ...current,
    spec: { ...current.spec!, replicas },
  }))
  await bench.settle(settleMs)
}

async function restart(bench: ControlPlaneBench): Promise<void> {
  const annotations = { 'kubectl.kubernetes.io/restartedAt': '2026-01-01T00:00:00Z' }
  await bench.controlPlane.cluster.update(DEPLOYMENTS, 'default/web', (current) => {
    const template = current.spec!.template
    return {
      ...current,
      spec: { ...current.spec!, template: { ...template, metadata: { ...template.metadata, annotations } } },
    }
  })
}
