import type { Resource, Sidecar, SidecarSpec } from '@ambient-lab/api'
import { expect, it } from 'vitest'
import { MESH_CONFIG_DEFAULT } from '../mesh-config.ts'
import { SIDECARS } from '../stored-kinds.ts'
import { viewOf } from '../translate/view.conformance.ts'
import { ingressTarget, outboundVisibility, sidecarOf } from './sidecar-scope.ts'

function sidecar(key: string, spec: SidecarSpec, created = '2026-01-01T00:00:00Z'): Sidecar {
  const [namespace = '', name = ''] = key.split('/')
  const metadata = { name, namespace, creationTimestamp: created }
  return { apiVersion: 'networking.istio.io/v1', kind: 'Sidecar', metadata, spec }
}

const ROOT = sidecar('istio-system/all', { egress: [{ hosts: ['./*'] }] })
const WIDE = sidecar('shop/wide', { egress: [{ hosts: ['*/*'] }] })
const FOR_V1 = sidecar('shop/v1', { workloadSelector: { labels: { version: 'v1' } } })
const LATER_FOR_V1 = sidecar('shop/a', { workloadSelector: { labels: { version: 'v1' } } }, '2026-02-01T00:00:00Z')

it.each<[string, readonly Sidecar[], string, Sidecar | undefined]>([
  ['none', [], 'v1', undefined],
  ['of the root namespace', [ROOT], 'v1', ROOT],
  ['of the namespace before the root', [ROOT, WIDE], 'v1', WIDE],
  ['that selects the workload before the wide one', [ROOT, WIDE, FOR_V1], 'v1', FOR_V1],
  ['the older of two that select it', [LATER_FOR_V1, FOR_V1], 'v1', FOR_V1],
  ['not one that selects others', [WIDE, FOR_V1], 'v2', WIDE],
])('the Sidecar of a workload: %s', (_title, objects, version, expected) => {
  const view = viewOf(objects.map((object) => [SIDECARS, object as Resource]))
  expect(sidecarOf(view, 'shop', { version })).toBe(expected)
})

it('selects in the root namespace for its own workloads only', () => {
  const selective = sidecar('istio-system/v1', { workloadSelector: { labels: { version: 'v1' } } })
  const view = viewOf([[SIDECARS, selective as Resource]])
  expect(sidecarOf(view, 'shop', { version: 'v1' })).toBeUndefined()
  expect(sidecarOf(view, 'istio-system', { version: 'v1' })).toBe(selective)
})

it.each<[string, SidecarSpec, object]>([
  ['nothing', { ingress: [] }, { mode: 'ALLOW_ANY' }],
  [
    'hosts of all listeners, each once',
    { egress: [{ hosts: ['./*', 'other/a.other.svc.cluster.local'] }, { hosts: ['*/b.example.com', './*'] }] },
    { mode: 'ALLOW_ANY', hosts: ['shop/*', 'other/a.other.svc.cluster.local', '*/b.example.com'] },
  ],
  ['no host at all', { egress: [{ hosts: ['~/*'] }] }, { mode: 'ALLOW_ANY', hosts: [] }],
  ['what is beyond', { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }, { mode: 'REGISTRY_ONLY' }],
])('what a workload may reach: %s', (_title, spec, expected) => {
  expect(outboundVisibility(sidecar('shop/x', spec), 'shop', viewOf([]))).toEqual(expected)
})

it('goes by the mesh where no Sidecar says more', () => {
  const mesh = { ...MESH_CONFIG_DEFAULT, outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' as const } }
  const view = { list: () => [], mesh }
  expect(outboundVisibility(undefined, 'shop', view)).toEqual({ mode: 'REGISTRY_ONLY' })
  const open = sidecar('shop/x', { outboundTrafficPolicy: { mode: 'ALLOW_ANY' } })
  expect(outboundVisibility(open, 'shop', view)).toEqual({ mode: 'ALLOW_ANY' })
})

it.each([
  ['127.0.0.1:8080', 8080],
  ['0.0.0.0:8080', 8080],
  ['[::1]:8080', 8080],
  [undefined, 80],
  ['unix:///var/run/a.sock', 80],
])('an ingress listener of port 80 for %s leads to port %i', (defaultEndpoint, expected) => {
  const port = { number: 80, name: 'http', protocol: 'HTTP' }
  expect(ingressTarget({ port, ...(defaultEndpoint !== undefined && { defaultEndpoint }) })).toBe(expected)
})
