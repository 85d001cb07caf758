import { SeededRandom } from '@ambient-lab/std'
import { ADDRESS_TYPE, type Address, type GatewayAddress } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import type { SocketAddress } from '../address.ts'
import { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import { planInbound } from './inbound-plan.ts'
import { planOutbound, planUncaptured } from './outbound-plan.ts'
import { serviceOf, workloadOf } from './two-nodes.conformance.ts'

const gateway = (service: string): GatewayAddress => ({
  hostname: { namespace: 'default', hostname: `${service}.default.svc.cluster.local` },
  hboneMtlsPort: 15008,
})
const of = (...services: string[]) =>
  Object.fromEntries(services.map((name) => [`default/${name}.default.svc.cluster.local`, []]))

const curl = workloadOf('curl', 'a', '10.244.1.4')
const hbone = [{ servicePort: 15008, targetPort: 15008, appProtocol: 'UNKNOWN' }] as const
const RESOURCES: readonly Address[] = [
  { workload: curl },
  {
    workload: workloadOf('echo', 'b', '10.244.2.5', {
      services: of('echo', 'guarded', 'orphan', 'weighted', 'fallback'),
    }),
  },
  { workload: workloadOf('plain', 'b', '10.244.2.6', { services: of('plain'), tunnelProtocol: 'NONE' }) },
  { workload: workloadOf('sick', 'b', '10.244.2.7', { services: of('sick'), status: 'UNHEALTHY' }) },
  { workload: workloadOf('far', 'b', '10.244.2.8', { services: of('far'), network: 'other' }) },
  {
    workload: workloadOf('west', 'b', '10.244.2.12', {
      ...{ services: of('west', 'both', 'private', 'guarded-west'), network: 'west' },
      networkGateway: gateway('west-gateway'),
    }),
  },
  {
    workload: workloadOf('nowhere', '', '', {
      addresses: [],
      services: of('lost'),
      network: 'lost',
      networkGateway: gateway('lost-gateway'),
    }),
  },
  { workload: workloadOf('near', 'a', '10.244.1.13', { services: of('both') }) },
  {
    workload: workloadOf('west-gateway', 'b', '10.244.2.14', {
      ...{ services: of('west-gateway'), network: 'west', nativeTunnel: true },
      networkGateway: gateway('west-gateway'),
    }),
  },
  {
    workload: workloadOf('west-waypoint', 'b', '10.244.2.15', {
      ...{ services: of('west-waypoint'), network: 'west', nativeTunnel: true },
      networkGateway: gateway('west-gateway'),
    }),
  },
  { workload: workloadOf('waypoint', 'b', '10.244.2.9', { services: of('waypoint'), nativeTunnel: true }) },
  { workload: workloadOf('canary', 'b', '10.244.2.10', { services: of('canary'), nativeTunnel: true }) },
  { workload: workloadOf('watched', 'b', '10.244.2.11', { waypoint: gateway('waypoint'), services: of('watched') }) },
  {
    workload: workloadOf('named', '', '', {
      addresses: [],
      hostname: 'api.example.com',
      services: of('named'),
      tunnelProtocol: 'NONE',
    }),
  },
  { service: serviceOf('echo', '10.96.0.1', { subjectAltNames: ['spiffe://cluster.local/ns/default/sa/alias'] }) },
  { service: serviceOf('plain', '10.96.0.2') },
  { service: serviceOf('sick', '10.96.0.3') },
  { service: serviceOf('far', '10.96.0.4') },
  {
    service: serviceOf('west', '10.96.0.20', {
      scope: 'GLOBAL',
      subjectAltNames: ['spiffe://cluster.local/ns/default/sa/alias'],
    }),
  },
  {
    service: serviceOf('both', '10.96.0.21', {
      scope: 'GLOBAL',
      loadBalancing: { mode: 'FAILOVER', routingPreference: ['NETWORK'], healthPolicy: 'ONLY_HEALTHY' },
    }),
  },
  { service: serviceOf('private', '10.96.0.22') },
  { service: serviceOf('lost', '10.96.0.23', { scope: 'GLOBAL' }) },
  { service: serviceOf('west-gateway', '10.96.0.24', { ports: hbone }) },
  { service: serviceOf('west-waypoint', '10.96.0.25', { ports: hbone }) },
  { service: serviceOf('guarded-west', '10.96.0.26', { scope: 'GLOBAL', waypoint: gateway('west-waypoint') }) },
  { service: serviceOf('guarded', '10.96.0.5', { waypoint: gateway('waypoint') }) },
  { service: serviceOf('orphan', '10.96.0.6', { waypoint: gateway('missing') }) },
  { service: serviceOf('waypoint', '10.96.0.7', { ports: hbone }) },
  { service: serviceOf('canary', '10.96.0.8', { ports: hbone }) },
  {
    service: serviceOf('weighted', '10.96.0.9', {
      waypoint: gateway('waypoint'),
      weightedWaypoints: [
        { destination: gateway('waypoint'), weight: 0 },
        { destination: gateway('canary'), weight: 10 },
      ],
    }),
  },
  {
    service: serviceOf('fallback', '10.96.0.10', {
      waypoint: gateway('waypoint'),
      weightedWaypoints: [{ destination: gateway('canary'), weight: 0 }],
    }),
  },
  { service: serviceOf('named', '10.96.0.11') },
  { service: serviceOf('watched', '10.96.0.12') },
  {
    service: serviceOf('open', '10.96.0.13', {
      loadBalancing: { mode: 'PASSTHROUGH', routingPreference: [], healthPolicy: 'ALLOW_ALL' },
    }),
  },
]

const holder = new ProxyStateHolder()
const upserts = RESOURCES.map((resource) => ({
  name: 'workload' in resource ? resource.workload.uid : `default/${resource.service.hostname}`,
  resource,
}))
const refused = holder.apply(ADDRESS_TYPE, upserts, [])
const state = holder.current
const random = new SeededRandom(1)
const to = (text: string): SocketAddress => {
  const [address, port] = text.split(':')
  return { address: address!, port: Number(port) }
}
const plan = (destination: string, source = curl) =>
  planOutbound(state, { source, destination: to(destination), random })

it('has a state to plan on', () => expect(refused).toEqual([]))

describe('planOutbound', () => {
  it.each([
    ['0', '127.0.0.1:15008', { code: 'RECURSIVE_CALL', reason: 'attempted recursive call to ourselves' }],
    ['3', '10.96.0.5:80', { authority: '10.96.0.5:80', hboneAddress: to('10.244.2.9:15008') }],
    [
      '3, name unknown',
      '10.96.0.6:80',
      { reason: 'unknown waypoint: waypoint missing.default.svc.cluster.local not found' },
    ],
    ['3, weighted', '10.96.0.9:80', { authority: '10.96.0.9:80', hboneAddress: to('10.244.2.10:15008') }],
    ['3, all weights 0', '10.96.0.10:80', { hboneAddress: to('10.244.2.9:15008') }],
    ['4', '10.96.0.1:80', { kind: 'tunnel', authority: '10.244.2.5:8080', hboneAddress: to('10.244.2.5:15008') }],
    ['4a, unhealthy', '10.96.0.3:80', { code: 'NO_HEALTHY_UPSTREAM', reason: 'no healthy upstream: 10.96.0.3:80' }],
    ['4a, no such port', '10.96.0.1:81', { reason: 'no healthy upstream: 10.96.0.1:81' }],
    ['4b, PASSTHROUGH', '10.96.0.13:80', { kind: 'plain', target: { host: '10.96.0.13', port: 80 } }],
    [
      '4b, unknown',
      '203.0.113.9:443',
      { kind: 'plain', destination: undefined, target: { host: '203.0.113.9', port: 443 } },
    ],
    ['5', '10.96.0.4:80', { code: 'NO_ROUTE', reason: 'no valid routing destination for workload' }],
    [
      '5, by its gateway',
      '10.96.0.20:80',
      {
        ...{ authority: 'west.default.svc.cluster.local:80', hboneAddress: to('10.244.2.14:15008') },
        ...{ requested: to('10.96.0.20:80'), expectedIds: [{ serviceAccount: 'west-gateway' }] },
        inner: { expectedIds: [{ serviceAccount: 'west' }, { serviceAccount: 'alias' }], originNetwork: '' },
      },
    ],
    ['5, not global', '10.96.0.22:80', { code: 'NO_ROUTE', reason: 'no valid routing destination for workload' }],
    [
      '5, gateway unknown',
      '10.96.0.23:80',
      {
        code: 'UNKNOWN_NETWORK_GATEWAY',
        reason: 'unknown network gateway: network gateway lost-gateway.default.svc.cluster.local not found',
      },
    ],
    ['5, nearer first', '10.96.0.21:80', { hboneAddress: to('10.244.1.13:15008'), authority: '10.244.1.13:8080' }],
    ['5, not by address', '10.244.2.12:8080', { kind: 'plain', destination: undefined }],
    [
      '3a',
      '10.96.0.26:80',
      {
        ...{ authority: 'guarded-west.default.svc.cluster.local:80', hboneAddress: to('10.244.2.14:15008') },
        inner: { expectedIds: [{ serviceAccount: 'west-waypoint' }] },
      },
    ],
    ['6', '10.244.2.11:8080', { authority: '10.244.2.11:8080', hboneAddress: to('10.244.2.9:15008') }],
    ['6, by service', '10.96.0.12:80', { authority: '10.244.2.11:8080', hboneAddress: to('10.244.2.11:15008') }],
    ['7', '10.244.2.5:9', { authority: '10.244.2.5:9', hboneAddress: to('10.244.2.5:15008') }],
    ['7, unhealthy by address', '10.244.2.7:80', { authority: '10.244.2.7:80' }],
    ['8', '10.96.0.2:80', { kind: 'plain', target: { host: '10.244.2.6', port: 8080 } }],
    ['8, by name', '10.96.0.11:80', { kind: 'plain', target: { host: 'api.example.com', port: 8080 } }],
  ])('row %s: %s', (_row, destination, wanted) => {
    expect(plan(destination)).toMatchObject(wanted)
  })

  it('does not send a waypoint to itself', () => {
    const waypoint = state.workload('Kubernetes//Pod/default/waypoint')!
    expect(plan('10.244.2.11:8080', waypoint)).toMatchObject({ hboneAddress: to('10.244.2.11:15008') })
  })

  it('accepts the workload and what its services say besides', () => {
    const { expectedIds } = plan('10.96.0.1:80') as { expectedIds: readonly { serviceAccount: string }[] }
    expect(expectedIds.map((id) => id.serviceAccount)).toEqual(['echo', 'alias'])
  })
})

describe('planUncaptured', () => {
  it.each([
    ['a service', '10.96.0.1:80', { kind: 'plain', target: { host: '10.244.2.5', port: 8080 } }],
    ['a service with a waypoint', '10.96.0.5:80', { kind: 'plain', target: { host: '10.244.2.5', port: 8080 } }],
    ['a pod', '10.244.2.5:9', { kind: 'plain', target: { host: '10.244.2.5', port: 9 } }],
    ['its own network alone', '10.96.0.20:80', { reason: 'no healthy upstream: 10.96.0.20:80' }],
    ['nobody', '10.96.0.3:80', { reason: 'no healthy upstream: 10.96.0.3:80' }],
    ['the world', '203.0.113.9:443', { kind: 'plain', target: { host: '203.0.113.9', port: 443 } }],
  ])('takes bytes as they are to %s', (_what, destination, wanted) => {
    const request = { source: curl, destination: to(destination), random }
    expect(planUncaptured(state, request)).toMatchObject(wanted)
  })
})

describe('planInbound', () => {
  const echo = state.workload('Kubernetes//Pod/default/echo')!
  const waypoint = state.workload('Kubernetes//Pod/default/waypoint')!

  it.each([
    ['own address', echo, '10.244.2.5:9', { upstream: to('10.244.2.5:9') }],
    ['own service by name', echo, 'echo.default.svc.cluster.local:80', { upstream: to('10.244.2.5:8080') }],
    [
      'another pod',
      echo,
      '10.244.2.6:80',
      { code: 'AUTHORITY_MISMATCH', reason: 'ip mismatch: 10.244.2.5 != 10.244.2.6' },
    ],
    ['own VIP', echo, '10.96.0.1:80', { code: 'AUTHORITY_MISMATCH' }],
    ['unknown name', echo, 'nobody.example:80', { reason: 'no service or workload for hostname: nobody.example' }],
    [
      'unknown port',
      echo,
      'echo.default.svc.cluster.local:81',
      { reason: 'requested service echo.default.svc.cluster.local:81 found, but cannot resolve port' },
    ],
    ['no port', echo, '10.244.2.5', { code: 'AUTHORITY_INVALID', reason: 'no valid authority pseudo header' }],
    ['nothing', echo, '', { code: 'AUTHORITY_INVALID' }],
    ['port of the proxy', echo, '10.244.2.5:15008', { code: 'RECURSIVE_CALL' }],
    ['waypoint for a service', waypoint, '10.96.0.5:80', { upstream: to('10.244.2.9:80') }],
    ['waypoint for a workload', waypoint, '10.244.2.11:8080', { upstream: to('10.244.2.9:8080') }],
    ['not its waypoint', waypoint, '10.96.0.1:80', { code: 'AUTHORITY_MISMATCH' }],
    [
      'weighted waypoint',
      state.workload('Kubernetes//Pod/default/canary')!,
      '10.96.0.9:80',
      { upstream: to('10.244.2.10:80') },
    ],
  ])('%s', (_what, local, authority, wanted) => {
    expect(planInbound(state, local, authority)).toMatchObject(wanted)
  })
})
