import type { PathReview, PathReviewRequest } from '@ambient-lab/api'
import type { Checkpoint, ConnectionView, ReviewHop, ReviewQuery } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ControlPlaneBench } from './control-plane.conformance.ts'

const USER = { name: 'admin', groups: ['system:masters'] }
const ok: Checkpoint = { point: 'capture', at: 'ztunnel n1', verdict: 'ok', saw: 'curl', reason: 'captured' }
const curl = {
  workload: 'curl',
  namespace: 'default',
  address: '10.0.0.9:4000',
  identity: 'spiffe://td/ns/default/sa/curl',
}
const web = {
  ...{ workload: 'web', namespace: 'shop', address: '10.0.1.5:8080', identity: 'spiffe://td/ns/shop/sa/web' },
  ...{ hboneAddress: '', service: '' },
}

function half(id: string, node: string, overrides: Partial<ConnectionView> = {}): ConnectionView {
  return {
    ...{ id, node, traceId: 't', direction: 'inbound', protocol: 'HBONE', source: curl, destination: web },
    ...{ state: 'closed', responseFlags: '-', error: '', openedAtMs: 0, durationMs: 0, bytesSent: 0, bytesReceived: 0 },
    ...overrides,
  }
}

async function start(...halves: readonly ConnectionView[]): Promise<ControlPlaneBench> {
  const bench = await ControlPlaneBench.start()
  for (const name of ['n1', 'n2']) {
    await bench.join(name)
    bench.agents.get(name)!.connections = halves.filter(({ node }) => node === name)
    bench.agents.get(name)!.review = () => ({ checkpoints: [ok] })
  }
  return bench
}

async function ask(bench: ControlPlaneBench, connectionId: string, request?: PathReviewRequest): Promise<PathReview> {
  const create = bench.controlPlane.apiHooks().createOnly!['ambient.lab/pathreviews']!
  const spec = { connectionId, ...(request && { request }) }
  const object = { apiVersion: 'ambient.lab/v1', kind: 'PathReview', metadata: { name: 'x' }, spec }
  const [answer] = await Promise.all([create({ object, user: USER, dryRun: false }), bench.settle()])
  return answer as PathReview
}

const dialled = { ...web, address: '10.96.0.5:80', service: 'web.shop.svc.cluster.local' }
const outbound = half('n1-7', 'n1', { direction: 'outbound', destination: dialled })
const fromWaypoint = { ...curl, identity: 'spiffe://td/ns/shop/sa/waypoint' }
const plain = { ...curl, workload: '', namespace: '', identity: '', address: '[fd00::9]:4000' }

describe('a PathReview of a connection', () => {
  it.each<readonly [string, readonly ConnectionView[], string, string, ReviewQuery]>([
    [
      'at its source, by that half',
      [outbound, half('n2-1', 'n2')],
      ...(['n1-7', 'n1'] as const),
      { at: 'source', uid: 'Kubernetes//Pod/default/curl', host: '10.96.0.5', port: 80 },
    ],
    [
      'at its source, by the other half',
      [outbound, half('n2-1', 'n2')],
      ...(['n2-1', 'n1'] as const),
      { at: 'source', uid: 'Kubernetes//Pod/default/curl', host: '10.96.0.5', port: 80 },
    ],
    [
      'at its destination where a waypoint made it, with the waypoint’s identity',
      [half('n2-1', 'n2', { source: fromWaypoint }), { ...outbound, traceId: 'another' }],
      ...(['n2-1', 'n2'] as const),
      {
        ...{ at: 'destination', uid: 'Kubernetes//Pod/shop/web', protocol: 'HBONE', authority: '10.0.1.5:8080' },
        ...{ identity: 'spiffe://td/ns/shop/sa/waypoint', sourceIp: '10.0.0.9' },
      },
    ],
    [
      'at its destination where plaintext came from nobody of the lab',
      [half('n2-1', 'n2', { source: plain, protocol: 'TCP' })],
      ...(['n2-1', 'n2'] as const),
      {
        ...{ at: 'destination', uid: 'Kubernetes//Pod/shop/web', protocol: 'TCP', authority: '10.0.1.5:8080' },
        ...{ identity: '', sourceIp: 'fd00::9' },
      },
    ],
  ])('begins %s', async (_, halves, id, node, query) => {
    const bench = await start(...halves)
    expect((await ask(bench, id)).status).toMatchObject({ allowed: true, checkpoints: [ok] })
    expect(bench.agents.get(node)!.reviews).toEqual([query])
    await bench[Symbol.asyncDispose]()
  })

  it('asks a waypoint on the way about the request that is given, by the service’s name', async () => {
    const bench = await start(outbound)
    const place = {
      protocol: 'HBONE',
      authority: '10.96.0.5:80',
      identity: 'spiffe://x',
      sourceIp: '10.0.0.9',
    } as const
    const next: ReviewHop = { ...place, kind: 'waypoint', uid: 'Kubernetes//Pod/shop/wp', node: 'n2' }
    bench.agents.get('n1')!.review = () => ({ checkpoints: [ok], next })
    await ask(bench, 'n1-7', { method: 'POST', path: '/x' })
    const request = { method: 'POST', path: '/x', authority: 'web.shop.svc.cluster.local', headers: {} }
    expect(bench.agents.get('n2')!.reviews).toMatchObject([{ at: 'waypoint', uid: 'Kubernetes//Pod/shop/wp', request }])
    await bench[Symbol.asyncDispose]()
  })

  it('cannot be where nobody knows the connection', async () => {
    const bench = await start(outbound)
    const message = expect.stringMatching(/^there is no connection n9-9: /)
    await expect(ask(bench, 'n9-9')).rejects.toMatchObject({ status: 404, message })
    await bench[Symbol.asyncDispose]()
  })
})
