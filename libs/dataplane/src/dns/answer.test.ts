import { ADDRESS_TYPE, type Address } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import { serviceOf, workloadOf } from '../ztunnel/two-nodes.conformance.ts'
import { answerQuestion } from './answer.ts'

const client = workloadOf('client', 'n1', '10.244.1.9')

function stateOf(...addresses: readonly Address[]) {
  const holder = new ProxyStateHolder()
  const upserts = addresses.map((resource) => ({
    name: 'workload' in resource ? resource.workload.uid : `${resource.service.namespace}/${resource.service.hostname}`,
    resource,
  }))
  expect(holder.apply(ADDRESS_TYPE, upserts, [])).toEqual([])
  return holder.current
}

const external = (hostname: string, address: string) => ({
  service: serviceOf('external', address, { hostname, canonical: false }),
})

function ask(state: ReturnType<typeof stateOf>, name: string, type = 'A', ofClusterOnly = false) {
  const answer = answerQuestion(state, { name, type, client, clusterDomain: 'cluster.local', ofClusterOnly })
  return answer.kind === 'forward' ? 'forward' : answer.records.map(({ name, data }) => `${name} ${data}`)
}

describe('the mesh answers', () => {
  const state = stateOf(
    { service: serviceOf('reviews', '10.96.0.7') },
    external('*.example.com', '240.240.0.1'),
    external('api.example.com', '240.240.0.2'),
    external('no-address.io', ''),
  )

  it.each([
    ['reviews', ['reviews. 10.96.0.7']],
    ['Reviews.Default.', ['reviews.default. 10.96.0.7']],
    ['reviews.default.svc', ['reviews.default.svc. 10.96.0.7']],
    ['reviews.default.svc.cluster.local', ['reviews.default.svc.cluster.local. 10.96.0.7']],
    ['reviews.default.pod', 'forward'],
    ['reviews.other', 'forward'],
    ['api.example.com', ['api.example.com. 240.240.0.2']],
    ['a.b.example.com', ['a.b.example.com. 240.240.0.1']],
    ['example.com', 'forward'],
    ['no-address.io', 'forward'],
    ['', 'forward'],
    ['...', 'forward'],
  ])('%j', (name, expected) => {
    expect(ask(state, name)).toEqual(expected)
  })

  it.each([
    ['reviews', ['reviews. 10.96.0.7']],
    ['reviews.default.svc.cluster.local', ['reviews.default.svc.cluster.local. 10.96.0.7']],
    ['api.example.com', 'forward'],
    ['a.b.example.com', 'forward'],
  ])('%j as the DNS of the cluster would, where its own is not asked', (name, expected) => {
    expect(ask(state, name, 'A', true)).toEqual(expected)
  })

  it('a known name without an address of the family is empty, not unknown', () => {
    expect(ask(state, 'reviews', 'AAAA')).toEqual([])
    expect(ask(state, 'reviews', 'TXT')).toBe('forward')
  })

  it('a search domain that was taken away shows as a CNAME, unless a wildcard matched', () => {
    expect(ask(state, 'api.example.com.default.svc.cluster.local')).toEqual([
      'api.example.com.default.svc.cluster.local. api.example.com.',
      'api.example.com. 240.240.0.2',
    ])
    expect(ask(state, 'x.example.com.default.svc.cluster.local')).toEqual([
      'x.example.com.default.svc.cluster.local. 240.240.0.1',
    ])
  })
})

describe('a headless Service', () => {
  const headless = serviceOf('db', '')
  const services = { 'default/db.default.svc.cluster.local': [] }
  const pod = (name: string, address: string, overrides = {}) => ({
    workload: workloadOf(name, 'n1', address, { services, ...overrides }),
  })

  it('is its pods that are healthy, one address of the family of each', () => {
    const state = stateOf(
      { service: headless },
      pod('db-0', '10.244.1.1', { addresses: ['10.244.1.1', 'fd00::1'] }),
      pod('db-1', '10.244.1.2', { status: 'UNHEALTHY' }),
    )
    expect(ask(state, 'db')).toEqual(['db. 10.244.1.1'])
    expect(ask(state, 'db', 'AAAA')).toEqual(['db. fd00::1'])
  })

  it('without pods is known and empty', () => {
    expect(ask(stateOf({ service: headless }), 'db')).toEqual([])
  })
})
