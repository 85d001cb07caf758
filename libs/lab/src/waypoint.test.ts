import type { Gateway } from '@ambient-lab/api'
import { expect, it } from 'vitest'
import { isOfRevision, waypointGateway } from './waypoint.ts'
import { waypointStatusText } from './ztunnel-config/index.ts'

it('makes the Gateway that istioctl makes, with a label only for what was asked', () => {
  const init = { name: 'waypoint', namespace: 'default', traffic: undefined, revision: undefined }
  expect(waypointGateway(init)).toEqual({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'waypoint', namespace: 'default' },
    spec: { gatewayClassName: 'istio-waypoint', listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }] },
  })
  expect(waypointGateway({ ...init, namespace: undefined, traffic: 'all', revision: 'canary' }).metadata).toEqual({
    name: 'waypoint',
    labels: { 'istio.io/waypoint-for': 'all', 'istio.io/rev': 'canary' },
  })
  expect(() => waypointGateway({ ...init, name: 'none' })).toThrow(expect.objectContaining({ code: 'USAGE' }))
})

it.each([
  [undefined, undefined, true],
  [undefined, 'default', true],
  ['canary', 'default', false],
  ['canary', 'canary', true],
  ['canary', undefined, true],
])('a waypoint of revision %s is of %s: %s', (own, asked, is) => {
  const gateway = waypointGateway({ name: 'w', namespace: 'n', traffic: undefined, revision: own })
  expect(isOfRevision(gateway, asked)).toBe(is)
})

it('shows every condition of every waypoint, and no other Gateway', () => {
  const conditions = [
    { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'Resource accepted' },
    { type: 'Programmed', status: 'False', reason: 'AddressNotUsable', message: 'no instances found' },
  ] as const
  const waypoint = (namespace: string): Gateway => ({
    ...waypointGateway({ name: 'w', namespace, traffic: undefined, revision: undefined }),
    status: { conditions },
  })
  const other = { ...waypoint('a'), spec: { gatewayClassName: 'istio', listeners: [] } }
  expect(waypointStatusText([waypoint('b'), other, waypoint('a')], undefined)).toBe(
    [
      'NAMESPACE     NAME     STATUS     TYPE           REASON               MESSAGE',
      'a             w        True       Accepted       Accepted             Resource accepted',
      'a             w        False      Programmed     AddressNotUsable     no instances found',
      'b             w        True       Accepted       Accepted             Resource accepted',
      'b             w        False      Programmed     AddressNotUsable     no instances found',
      '',
    ].join('\n'),
  )
  expect(waypointStatusText([waypoint('a')], 'c')).toBe('No waypoints found.\n')
})
