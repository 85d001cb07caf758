import type { PathReview } from '@ambient-lab/api'
import type { Checkpoint, RequestView, ReviewHop, ReviewQuery } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ControlPlaneBench, deployment } from './control-plane.conformance.ts'
import { DEPLOYMENTS } from './stored-kinds.ts'

const USER = { name: 'admin', groups: ['system:masters'] }
const ok: Checkpoint = { point: 'capture', at: 'ztunnel n1', verdict: 'ok', saw: 'curl', reason: 'captured' }
const no: Checkpoint = { ...ok, point: 'allow', verdict: 'denied', reason: 'none allowed', httpStatus: 403 }
const LABELS = { 'gateway.networking.k8s.io/gateway-name': 'waypoint' }

function requestOf(node: string, overrides: Partial<RequestView> = {}): RequestView {
  return {
    ...{ id: 'r-1', uid: 'Kubernetes//Pod/default/wp', serial: 7, node, proxy: 'default/waypoint', kind: 'waypoint' },
    ...{ atMs: 1000, method: 'GET', authority: 'web', path: '/cart', route: 'default' },
    source: { uid: '', workload: '', namespace: '', address: '10.0.0.9', identity: '' },
    destination: { address: '10.96.0.5:80', service: 'web.default.svc.cluster.local' },
    ...{ state: 'refused', status: 403, responseFlags: '-', details: 'rbac_access_denied_matched_policy[none]' },
    ...{ hint: 'ask why', isReviewed: true },
    ...overrides,
  }
}

/** `curl` on n1, two replicas of `waypoint` on n2. */
async function start() {
  const bench = await ControlPlaneBench.start()
  await bench.join('n1')
  await bench.create(DEPLOYMENTS, deployment('curl', 1))
  await bench.join('n2')
  const proxies = deployment('waypoint', 2)
  const { template } = proxies.spec!
  const labelled = {
    ...template,
    metadata: { ...template.metadata, labels: { ...template.metadata?.labels, ...LABELS } },
  }
  await bench.create(DEPLOYMENTS, { ...proxies, spec: { ...proxies.spec!, template: labelled } })
  const [curl] = bench.readyPods('curl')
  const [chosen, other] = bench.readyPods('waypoint')
  const uid = (pod: typeof curl) => `Kubernetes//Pod/default/${pod!.metadata.name}`
  const source = {
    ...{
      uid: uid(curl),
      workload: curl!.metadata.name,
      namespace: 'default',
      address: '10.0.0.9',
      identity: 'spiffe://x',
    },
  }
  return { bench, source, curl: curl!, chosen: chosen!, other: other!, uid }
}

async function ask(bench: ControlPlaneBench, requestId: string): Promise<PathReview> {
  const create = bench.controlPlane.apiHooks().createOnly!['ambient.lab/pathreviews']!
  const object = { apiVersion: 'ambient.lab/v1', kind: 'PathReview', metadata: { name: 'x' }, spec: { requestId } }
  const [answer] = await Promise.all([create({ object, user: USER, dryRun: false }), bench.settle()])
  return answer as PathReview
}

describe('a PathReview of a request', () => {
  it('goes from its caller to the replica that remembers it, whichever the caller would draw now', async () => {
    const { bench, source, curl, chosen, other, uid } = await start()
    const place = {
      protocol: 'HBONE',
      authority: '10.96.0.5:80',
      identity: 'spiffe://x',
      sourceIp: '10.0.0.9',
    } as const
    const next: ReviewHop = { ...place, kind: 'waypoint', uid: uid(other), node: other.spec!.nodeName! }
    for (const agent of bench.agents.values()) {
      agent.review = (query: ReviewQuery) =>
        query.at === 'source' ? { checkpoints: [ok], next } : { checkpoints: [query.at === 'request' ? no : ok] }
    }
    const keeper = bench.agents.get(chosen.spec!.nodeName!)!
    keeper.requests = [requestOf(chosen.spec!.nodeName!, { uid: uid(chosen), source })]
    const { status } = await ask(bench, 'r-1')
    expect(status).toMatchObject({
      ...{ allowed: false, httpStatus: 403, summary: 'refused at ztunnel n1: none allowed', checkpoints: [ok, no] },
      past: {
        ...{ at: '1970-01-01T00:00:01.000Z', by: `waypoint default/waypoint on ${chosen.spec!.nodeName!}` },
        ...{ source: `${curl.metadata.name}.default`, method: 'GET', host: 'web', path: '/cart', httpStatus: 403 },
        changed: false,
      },
    })
    expect(keeper.reviews).toContainEqual({ at: 'request', uid: uid(chosen), serial: 7 })
    await bench[Symbol.asyncDispose]()
  })

  it('begins at the proxy where nobody of the lab is the caller', async () => {
    const { bench } = await start()
    const agent = bench.agents.get('n2')!
    agent.requests = [requestOf('n2', { kind: 'gateway', proxy: 'default/gateway' })]
    agent.review = () => ({ checkpoints: [ok] })
    const { status } = await ask(bench, 'r-1')
    expect(status).toMatchObject({
      ...{ allowed: true, summary: 'GET /cart of 10.0.0.9 may reach web' },
      past: { by: 'gateway default/gateway on n2', source: '10.0.0.9', changed: true },
    })
    await bench[Symbol.asyncDispose]()
  })

  it('says what to look at where it does not go through what decided', async () => {
    const { bench } = await start()
    const agent = bench.agents.get('n2')!
    agent.requests = [requestOf('n2', { status: 429, responseFlags: 'RL', isReviewed: false, hint: 'a rate limit' })]
    agent.review = () => ({ checkpoints: [ok] })
    expect((await ask(bench, 'r-1')).status!.past).toMatchObject({ httpStatus: 429, hint: 'a rate limit' })
    await bench[Symbol.asyncDispose]()
  })

  it.each<readonly [string, Partial<RequestView>, readonly Checkpoint[], boolean]>([
    ['refused then and now', {}, [no], false],
    ['refused then, and let in now', {}, [ok], true],
    ['refused otherwise then', { status: 401 }, [no], true],
    ['refused by what no review asks', { isReviewed: false, status: 429 }, [ok], false],
    ['refused as gRPC is, with a 200', { status: 200 }, [no], false],
    ['answered then, and refused now', { state: 'answered', status: 200 }, [no], true],
    ['answered then and now', { state: 'answered', status: 404 }, [ok], false],
    ['not answered yet', { state: 'open', status: 0 }, [no], false],
  ])('says whether it would end otherwise: %s', async (_, view, checkpoints, changed) => {
    const { bench } = await start()
    const agent = bench.agents.get('n2')!
    agent.requests = [requestOf('n2', view)]
    agent.review = () => ({ checkpoints })
    expect((await ask(bench, 'r-1')).status!.past).toMatchObject({ changed })
    await bench[Symbol.asyncDispose]()
  })

  it.each<readonly [string, readonly Partial<RequestView>[], number]>([
    ['the refusal of several that share an id', [{ serial: 1 }, { serial: 2, state: 'answered', atMs: 2000 }], 1],
    [
      'the last refusal',
      [
        { serial: 1, atMs: 3000 },
        { serial: 2, atMs: 2000 },
      ],
      1,
    ],
    [
      'the last where none was refused',
      [
        { serial: 1, state: 'answered' },
        { serial: 2, state: 'answered', atMs: 2 },
      ],
      1,
    ],
  ])('takes %s', async (_, views, serial) => {
    const { bench } = await start()
    const agent = bench.agents.get('n2')!
    agent.requests = views.map((view) => requestOf('n2', view))
    await ask(bench, 'r-1')
    expect(agent.reviews).toMatchObject([{ at: 'request', serial }])
    await bench[Symbol.asyncDispose]()
  })

  it('cannot be where nobody remembers the request', async () => {
    const { bench } = await start()
    await expect(ask(bench, 'r-2')).rejects.toMatchObject({
      status: 404,
      message: expect.stringMatching(/^no waypoint, gateway or sidecar remembers a request r-2: /),
    })
    await bench[Symbol.asyncDispose]()
  })

  it('is asked again where the way leads by now, when that is another waypoint, and says so', async () => {
    const { bench, source, chosen, uid } = await start()
    bench.agents.get('n2')!.requests = [requestOf('n2', { proxy: 'default/another', source })]
    const place = {
      protocol: 'HBONE',
      authority: '10.96.0.5:80',
      identity: 'spiffe://x',
      sourceIp: '10.0.0.9',
    } as const
    const next: ReviewHop = { ...place, kind: 'waypoint', uid: uid(chosen), node: 'n2' }
    for (const agent of bench.agents.values()) {
      agent.review = (query) => ({ checkpoints: [ok], ...(query.at === 'source' && { next }) })
    }
    const { past, checkpoints } = (await ask(bench, 'r-1')).status!
    expect(past).toMatchObject({ by: 'waypoint default/another on n2', movedTo: 'default/waypoint' })
    expect(checkpoints).toHaveLength(2)
    expect(bench.agents.get('n2')!.reviews).toMatchObject([
      { at: 'waypoint', uid: uid(chosen), request: { method: 'GET', headers: {} } },
    ])
    await bench[Symbol.asyncDispose]()
  })
})
