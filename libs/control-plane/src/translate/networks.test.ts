import type { Pod, Resource } from '@ambient-lab/api'
import type { Service, Workload } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { GATEWAYS, type KnownType, NAMESPACES, NODES } from '../stored-kinds.ts'
import meshService from './mesh-service.ts'
import podWorkload from './pod-workload.ts'
import { viewOf } from './view.conformance.ts'

type Objects = readonly [KnownType, Resource][]
const labelled = (network: string | undefined) => network && { labels: { 'topology.istio.io/network': network } }

const node = (network: string): Objects[number] => [
  NODES,
  { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', ...labelled(network) } },
]
const root = (network: string): Objects[number] => [
  NAMESPACES,
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system', ...labelled(network) } },
]

interface GatewaySaid {
  readonly network?: string
  readonly gatewayClassName?: string
  readonly addresses?: readonly { readonly type: string; readonly value: string }[]
  readonly wanted?: readonly { readonly type: string; readonly value: string }[]
}

const READY = [{ type: 'IPAddress', value: '10.96.0.9' }]

function gateway(name: string, said: GatewaySaid): Objects[number] {
  const { network = 'west', gatewayClassName = 'istio-east-west', addresses = READY, wanted } = said
  const object: Resource = {
    ...{ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway' },
    metadata: { name, namespace: 'edge', ...labelled(network) },
    spec: { gatewayClassName, ...(wanted && { addresses: wanted }) },
    status: { addresses },
  }
  return [GATEWAYS, object]
}

function workload(objects: Objects, network?: string): Workload {
  const pod: Pod = {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop', ...labelled(network) } },
    spec: { nodeName: 'n1', containers: [{ name: 'web', image: 'web' }] },
    status: { phase: 'Running', podIP: '10.244.1.5' },
  }
  const [address] = podWorkload.translate(pod, viewOf(objects))
  return (address!.resource as { workload: Workload }).workload
}

function service(objects: Objects, labels: Readonly<Record<string, string>> = {}): Service {
  const object = {
    ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'shop', labels } },
    spec: { clusterIP: '10.96.0.1', ports: [{ port: 80 }] },
  }
  const [address] = meshService.translate(object, viewOf(objects))
  return (address!.resource as { service: Service }).service
}

describe('the network of a pod', () => {
  it.each<[string, Objects, string | undefined, string]>([
    ['its own label’s', [node('east'), root('main')], 'west', 'west'],
    ['its node’s', [node('east'), root('main')], undefined, 'east'],
    ['the root namespace’s', [root('main')], undefined, 'main'],
    ['the mesh’s', [], undefined, ''],
  ])('is %s', (_, objects, label, network) => {
    expect(workload(objects, label).network).toBe(network)
  })
})

describe('who lets others in to a network', () => {
  const byName = { hostname: { namespace: 'edge', hostname: 'gw.edge.svc.cluster.local' }, hboneMtlsPort: 15008 }
  const byAddress = { address: { network: 'west', address: '198.51.100.7' }, hboneMtlsPort: 15008 }
  const elsewhere = [{ type: 'IPAddress', value: '198.51.100.7' }]

  it.each<[string, Objects, Workload['networkGateway']]>([
    ['its east-west Gateway, by its Service', [gateway('gw', {})], byName],
    ['nobody before that was ready', [gateway('gw', { addresses: [] })], undefined],
    ['not another network’s', [gateway('gw', { network: 'north' })], undefined],
    ['no Gateway of another class', [gateway('gw', { gatewayClassName: 'istio' })], undefined],
    ['no waypoint', [gateway('gw', { gatewayClassName: 'istio-waypoint' })], undefined],
    [
      'no waypoint beside its gateway',
      [gateway('a', { gatewayClassName: 'istio-waypoint' }), gateway('gw', {})],
      byName,
    ],
    ['nobody where its Gateway was taken away', [gateway('gw', { network: '' })], undefined],
    [
      'a Gateway of another cluster, where it says',
      [gateway('gw', { gatewayClassName: 'istio-remote', addresses: [], wanted: elsewhere })],
      byAddress,
    ],
    ['the first by name of several', [gateway('other', {}), gateway('gw', {})], byName],
  ])('is %s', (_, objects, wanted) => {
    expect(workload(objects, 'west').networkGateway).toEqual(wanted)
  })
})

describe('a service', () => {
  it('has its address in each network that a pod may be in', () => {
    const remote = gateway('far', { network: 'far', gatewayClassName: 'istio-remote' })
    const objects = [
      node('east'),
      gateway('gw', {}),
      gateway('plain', { network: 'no', gatewayClassName: 'istio' }),
      remote,
    ]
    expect(service(objects).addresses).toEqual(
      ['', 'east', 'west'].map((network) => ({ network, address: '10.96.0.1' })),
    )
  })

  it.each([
    ['true', 'GLOBAL'],
    ['false', undefined],
  ])('is for other networks where its label says so: %s', (value, scope) => {
    expect(service([], { 'istio.io/global': value }).scope).toBe(scope)
  })
})
