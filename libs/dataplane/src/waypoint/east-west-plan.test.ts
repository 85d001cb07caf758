import { SeededRandom } from '@ambient-lab/std'
import { ADDRESS_TYPE, type Address, type GatewayAddress } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import { serviceOf, workloadOf } from '../ztunnel/two-nodes.conformance.ts'
import { planEastWest } from './east-west-plan.ts'

const of = (...services: string[]) =>
  Object.fromEntries(services.map((name) => [`default/${name}.default.svc.cluster.local`, []]))
const waypoint = (name: string): GatewayAddress => ({
  hostname: { namespace: 'default', hostname: `${name}.default.svc.cluster.local` },
  hboneMtlsPort: 15008,
})
const network = 'west'
const networkGateway = waypoint('gateway')
const gateway = workloadOf('gateway', 'b', '10.244.2.1', { network, nativeTunnel: true })
const hbone = [{ servicePort: 15008, targetPort: 15008, appProtocol: 'UNKNOWN' }] as const
const RESOURCES: readonly Address[] = [
  { workload: gateway },
  {
    workload: workloadOf('web', 'b', '10.244.2.2', {
      network,
      services: of('web', 'guarded', 'forsaken', 'private', 'wanted'),
    }),
  },
  { workload: workloadOf('plain', 'b', '10.244.2.3', { network, services: of('plain'), tunnelProtocol: 'NONE' }) },
  { workload: workloadOf('far', 'a', '10.244.1.4', { network: 'east', services: of('web', 'far'), networkGateway }) },
  { workload: workloadOf('waypoint', 'b', '10.244.2.5', { network, services: of('waypoint'), nativeTunnel: true }) },
  { workload: workloadOf('elsewhere', 'a', '10.244.1.6', { network: 'east', services: of('elsewhere') }) },
  { service: serviceOf('web', '10.96.0.1', { scope: 'GLOBAL' }) },
  { service: serviceOf('plain', '10.96.0.2', { scope: 'GLOBAL' }) },
  { service: serviceOf('far', '10.96.0.3', { scope: 'GLOBAL' }) },
  { service: serviceOf('guarded', '10.96.0.4', { scope: 'GLOBAL', waypoint: waypoint('waypoint') }) },
  { service: serviceOf('forsaken', '10.96.0.5', { scope: 'GLOBAL', waypoint: waypoint('elsewhere') }) },
  { service: serviceOf('private', '10.96.0.6') },
  {
    service: serviceOf('wanted', '10.96.0.9', {
      scope: 'GLOBAL',
      waypoint: waypoint('waypoint'),
      ingressUseWaypoint: true,
    }),
  },
  { service: serviceOf('waypoint', '10.96.0.7', { ports: hbone }) },
  { service: serviceOf('elsewhere', '10.96.0.8', { ports: hbone }) },
]

const holder = new ProxyStateHolder()
const upserts = RESOURCES.map((resource) => ({
  name: 'workload' in resource ? resource.workload.uid : `default/${resource.service.hostname}`,
  resource,
}))
const refused = holder.apply(ADDRESS_TYPE, upserts, [])
const plan = (authority: string, sentBy?: string) =>
  planEastWest(holder.current, gateway, authority, new SeededRandom(1), sentBy)
const host = (name: string, port = 80) => `${name}.default.svc.cluster.local:${port}`

it('has a state to plan on', () => expect(refused).toEqual([]))

describe('planEastWest', () => {
  it.each([
    [
      'an endpoint of its own network, never another’s',
      host('web'),
      { address: { address: '10.244.2.2', port: 15008 } },
    ],
    ['a name with its final dot', 'web.default.svc.cluster.local.:80', { workload: { name: 'web' } }],
    ['the waypoint of the service', host('guarded'), { workload: { name: 'waypoint' } }],
  ])('leads to %s', (_what, authority, wanted) => {
    expect(plan(authority)).toMatchObject({ kind: 'east-west', ...wanted })
  })

  it.each([
    ['guarded', 'waypoint', 'web'],
    ['guarded', 'gateway', 'web'],
    ['wanted', 'gateway', 'waypoint'],
    ['wanted', 'waypoint', 'web'],
    ['guarded', 'sidecar', 'waypoint'],
    ['guarded', 'somebody', 'waypoint'],
    ['forsaken', 'waypoint', 'web'],
  ])('leads to %s, asked by a %s, by way of %s', (service, sentBy, workload) => {
    expect(plan(host(service), sentBy)).toMatchObject({ workload: { name: workload } })
  })

  it.each([
    ['a waypoint that is elsewhere: its policies would not be kept', host('forsaken'), 'UNKNOWN_WAYPOINT'],
    ['who ends no tunnel', host('plain'), 'NO_HEALTHY_UPSTREAM'],
    ['another network', host('far'), 'NO_HEALTHY_UPSTREAM'],
    ['a service that is not global', host('private'), 'HOST_NOT_FOUND'],
    ['nobody', host('nobody'), 'HOST_NOT_FOUND'],
    ['a port that the service has not', host('web', 81), 'SERVICE_PORT_UNRESOLVED'],
    ['an address of the network', '10.244.2.2:80', 'AUTHORITY_INVALID'],
    ['a virtual address', '10.96.0.1:80', 'AUTHORITY_INVALID'],
    ['what is no authority', 'web', 'AUTHORITY_INVALID'],
    ['the empty authority', '', 'AUTHORITY_INVALID'],
    ['port 0', host('web', 0), 'AUTHORITY_INVALID'],
  ])('never to %s', (_what, authority, code) => {
    expect(plan(authority)).toMatchObject({ kind: 'rejection', code })
  })
})
