import { ADDRESS_TYPE, AUTHORIZATION_TYPE, NODE_TYPE } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { serviceOf, workloadOf } from '../ztunnel/two-nodes.conformance.ts'
import { ProxyStateHolder } from './proxy-state-holder.ts'

const KEY = 'default/echo.default.svc.cluster.local'

function pod(index: number, overrides = {}) {
  const address = `10.244.${index >> 8}.${index & 255}`
  const workload = workloadOf(`pod-${index}`, 'a', address, { services: { [KEY]: [] }, ...overrides })
  return { name: workload.uid, resource: { workload } }
}

const service = { name: KEY, resource: { service: serviceOf('echo', '10.96.0.10') } }

describe('ProxyStateHolder', () => {
  it('indexes workloads and services, and forgets them wholly', () => {
    const holder = new ProxyStateHolder()
    expect(holder.apply(ADDRESS_TYPE, [pod(1), pod(2), service], [])).toEqual([])
    const state = holder.current
    expect(state.workloadByAddress('', '10.244.0.1')?.name).toBe('pod-1')
    expect(state.serviceByVip('', '10.96.0.10', 'default')?.name).toBe('echo')
    expect([...state.endpointsOf(KEY).keys()]).toEqual([pod(1).name, pod(2).name])
    holder.apply(ADDRESS_TYPE, [], [pod(1).name, KEY])
    expect(holder.current.workloadByAddress('', '10.244.0.1')).toBeUndefined()
    expect(holder.current.serviceByVip('', '10.96.0.10', 'default')).toBeUndefined()
    expect(holder.current.serviceByHostname('echo.default.svc.cluster.local', 'default')).toBeUndefined()
    expect(holder.current.endpointsOf(KEY).size).toBe(1)
    expect(state.endpointsOf(KEY).size, 'an old snapshot does not change').toBe(2)
  })

  it('follows a workload that changes its address, its services and its health', () => {
    const holder = new ProxyStateHolder()
    holder.apply(ADDRESS_TYPE, [pod(1)], [])
    holder.apply(ADDRESS_TYPE, [pod(1, { addresses: ['10.244.9.9'], services: {}, status: 'UNHEALTHY' })], [])
    expect(holder.current.workloadByAddress('', '10.244.0.1')).toBeUndefined()
    expect(holder.current.workloadByAddress('', '10.244.9.9')?.status).toBe('UNHEALTHY')
    expect(holder.current.endpointsOf(KEY).size).toBe(0)
  })

  it('gives an address that two claim to the pod with HBONE, and back when that one goes', () => {
    const holder = new ProxyStateHolder()
    const entry = { name: 'x/networking.istio.io/WorkloadEntry/default/vm', resource: {} }
    entry.resource = { workload: workloadOf('vm', '', '10.244.0.1', { uid: entry.name }) }
    holder.apply(ADDRESS_TYPE, [pod(1), entry], [])
    expect(holder.current.workloadByAddress('', '10.244.0.1')?.name).toBe('pod-1')
    holder.apply(ADDRESS_TYPE, [], [pod(1).name])
    expect(holder.current.workloadByAddress('', '10.244.0.1')?.name).toBe('vm')
  })

  it('keeps pods of the host network out of the index by address', () => {
    const holder = new ProxyStateHolder()
    holder.apply(ADDRESS_TYPE, [pod(1, { networkMode: 'HOST_NETWORK' })], [])
    expect(holder.current.workloadByAddress('', '10.244.0.1')).toBeUndefined()
    expect(holder.current.endpointsOf(KEY).size).toBe(1)
  })

  it('refuses one by one what is wrong, applies the rest, and keeps what it had', () => {
    const holder = new ProxyStateHolder()
    holder.apply(ADDRESS_TYPE, [pod(1)], [])
    const errors = holder.apply(
      ADDRESS_TYPE,
      [
        pod(1, { addresses: ['nonsense'] }),
        pod(2),
        { name: 'other', resource: pod(3).resource },
        { name: 'nothing', resource: null },
        {
          name: KEY,
          resource: { service: { ...service.resource.service, ports: [{ servicePort: 0, targetPort: 1 }] } },
        },
      ],
      [],
    )
    expect(errors).toEqual([
      { name: pod(1).name, reason: 'addresses has nonsense' },
      { name: 'other', reason: 'workload.uid is Kubernetes//Pod/default/pod-3, not other' },
      { name: 'nothing', reason: 'resource is not an object' },
      { name: KEY, reason: 'service.ports[0].servicePort is 0, which is no port' },
    ])
    expect([...holder.current.indexes.workloads.keys()]).toEqual([pod(1).name, pod(2).name])
    expect(holder.current.workloadByAddress('', '10.244.0.1')?.name).toBe('pod-1')
  })

  it('takes nodes and policies, and refuses policies with what it does not know', () => {
    const holder = new ProxyStateHolder()
    const node = { name: 'a', podCidr: '10.244.1.0/24', status: 'HEALTHY', hbone: { host: '127.0.0.1', port: 15008 } }
    expect(holder.apply(NODE_TYPE, [{ name: 'a', resource: node }], [])).toEqual([])
    expect(holder.current.node('a')?.hbone?.port).toBe(15008)
    const base = { namespace: 'default', scope: 'NAMESPACE', action: 'ALLOW', dryRun: false, rules: [] }
    const withMatch = (match: object) => ({ ...base, rules: [{ clauses: [{ matches: [match] }] }] })
    const push = (name: string, policy: object) => ({ name: `default/${name}`, resource: { name, ...policy } })
    const errors = holder.apply(
      AUTHORIZATION_TYPE,
      [
        push('good', withMatch({ principals: [{ exact: 'x' }], sourceIps: ['10.0.0.0/8'], destinationPorts: [80] })),
        push('cidr', withMatch({ sourceIps: ['10.0.0.0/99'] })),
        push('field', withMatch({ sourceTrustDomains: [{ exact: 'x' }] })),
        push('match', withMatch({ principals: [{ exact: 'x', prefix: 'y' }] })),
        push('action', { ...base, action: 'AUDIT' }),
      ],
      [],
    )
    expect(errors).toEqual([
      { name: 'default/field', reason: 'sourceTrustDomains is not a field of a match' },
      { name: 'default/match', reason: 'match needs one of exact, prefix, suffix, presence' },
      { name: 'default/action', reason: 'action is not one of ALLOW, DENY' },
      { name: 'default/cidr', reason: 'policy default/cidr: sourceIps: 10.0.0.0/99 is not valid' },
    ])
    expect(holder.current.policies.size).toBe(1)
  })

  it('lets a waiter know once', () => {
    const holder = new ProxyStateHolder()
    const seen: string[] = []
    holder.whenKnown(pod(1).name, (workload) => seen.push(workload.name))
    const stop = holder.whenKnown(pod(2).name, (workload) => seen.push(workload.name))
    stop()
    holder.apply(ADDRESS_TYPE, [pod(1), pod(2)], [])
    holder.apply(ADDRESS_TYPE, [pod(1)], [])
    expect(seen).toEqual(['pod-1'])
    expect(holder.onChange.size).toBe(0)
  })
})
