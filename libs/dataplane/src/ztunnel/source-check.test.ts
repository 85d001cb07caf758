import type { Workload } from '@ambient-lab/xds'
import { expect, it } from 'vitest'
import { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import { SourceCheck } from './source-check.ts'
import { workloadOf } from './two-nodes.conformance.ts'

const SIDECAR = { nativeTunnel: true, sidecar: { plaintext: false, exceptPorts: [] } }
const CURL = workloadOf('curl', 'a', '10.244.1.4')
const CLIENT = workloadOf('client', 'a', '10.244.1.20', SIDECAR)
const WAYPOINT = workloadOf('waypoint', 'b', '10.244.2.9', { nativeTunnel: true })

function id(serviceAccount: string) {
  return { trustDomain: 'cluster.local', namespace: 'default', serviceAccount }
}

it.each<[string, Workload | undefined, string, boolean]>([
  ['its own address', CURL, 'curl', true],
  ['an address that nobody knows', undefined, 'curl', true],
  ['somebody else’s address', CURL, 'client', false],
  ['a client’s address, by a waypoint', CURL, 'waypoint', true],
  ['a sidecar’s own address', CLIENT, 'client', true],
  ['the address of a pod with a sidecar, by another', CLIENT, 'curl', false],
  ['somebody else’s address, by a sidecar', CURL, 'client', false],
])('a peer that claims %s', (_title, source, serviceAccount, isBelieved) => {
  const state = new ProxyStateHolder()
  const upserts = [CURL, CLIENT, WAYPOINT].map((workload) => ({ name: workload.uid, resource: { workload } }))
  expect(state.apply('type.googleapis.com/istio.workload.Address', upserts, [])).toEqual([])
  const refusal = new SourceCheck({ state }).refusalOf(source, '10.0.0.1', id(serviceAccount))
  expect(refusal).toBe(isBelieved ? undefined : 'source 10.0.0.1 does not belong to the identity of the peer')
})
