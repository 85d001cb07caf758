import type { PathReview, PathReviewTarget, Pod } from '@ambient-lab/api'
import type { Checkpoint, ReviewAnswer } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ControlPlaneBench, deployment, service } from './control-plane.conformance.ts'
import { DEPLOYMENTS, SERVICES } from './stored-kinds.ts'

const HOST = 'web.default.svc.cluster.local'
const USER = { name: 'admin', groups: ['system:masters'] }
const ok: Checkpoint = { point: 'capture', at: 'ztunnel n1', verdict: 'ok', saw: 'curl', reason: 'captured' }
const no: Checkpoint = { ...ok, point: 'allow', verdict: 'denied', reason: 'none allowed', responseFlags: 'DENY' }

/** `curl` on n1, `web` on n2, each by its own agent. */
async function start(): Promise<{ bench: ControlPlaneBench; curl: Pod; web: Pod }> {
  const bench = await ControlPlaneBench.start()
  await bench.join('n1')
  await bench.create(DEPLOYMENTS, deployment('curl', 1))
  await bench.join('n2')
  await bench.create(DEPLOYMENTS, deployment('web', 1))
  await bench.create(SERVICES, service('web'))
  const [curl] = bench.readyPods('curl')
  const [web] = bench.readyPods('web')
  return { bench, curl: curl!, web: web! }
}

async function ask(bench: ControlPlaneBench, source: string, target: PathReviewTarget): Promise<PathReview> {
  const create = bench.controlPlane.apiHooks().createOnly!['ambient.lab/pathreviews']!
  const spec = { source: { name: source, namespace: 'default' }, target }
  const object = { apiVersion: 'ambient.lab/v1', kind: 'PathReview', metadata: { name: 'x' }, spec }
  const [answer] = await Promise.all([create({ object, user: USER, dryRun: false }), bench.settle()])
  return answer as PathReview
}

function answers(bench: ControlPlaneBench, { curl, web }: { curl: Pod; web: Pod }, last: Checkpoint): void {
  const hop = { protocol: 'HBONE', authority: '10.0.0.1:80', identity: 'spiffe://x', sourceIp: '10.0.0.2' } as const
  const uid = `Kubernetes//Pod/default/${web.metadata.name}`
  const next = { ...hop, kind: 'destination', uid, node: web.spec!.nodeName! } as const
  bench.agents.get(curl.spec!.nodeName!)!.review = (query): ReviewAnswer =>
    query.at === 'source' ? { checkpoints: [ok], next } : { checkpoints: [last] }
  bench.agents.get(web.spec!.nodeName!)!.review = () => ({ checkpoints: [last] })
}

describe('a PathReview', () => {
  it('follows the way from proxy to proxy', async () => {
    const { bench, ...pods } = await start()
    answers(bench, pods, ok)
    const { status } = await ask(bench, pods.curl.metadata.name, { kind: 'Service', name: 'web', namespace: 'default' })
    expect(status).toEqual({
      allowed: true,
      summary: `${pods.curl.metadata.name} may reach web`,
      checkpoints: [ok, ok],
    })
    const asked = [...bench.agents.values()].flatMap(({ reviews }) => reviews)
    const uid = `Kubernetes//Pod/default/${pods.curl.metadata.name}`
    const request = { method: 'GET', path: '/', authority: 'web', headers: {} }
    expect(asked).toContainEqual({ at: 'source', uid, host: HOST, port: 80, request })
    expect(asked).toContainEqual(expect.objectContaining({ at: 'destination', authority: '10.0.0.1:80', request }))
    await bench[Symbol.asyncDispose]()
  })

  it('says who refused, and with which flag', async () => {
    const { bench, ...pods } = await start()
    answers(bench, pods, no)
    const { status } = await ask(bench, pods.curl.metadata.name, { host: 'web', port: 80 })
    expect(status).toMatchObject({
      allowed: false,
      summary: 'refused at ztunnel n1: none allowed',
      responseFlags: 'DENY',
    })
    await bench[Symbol.asyncDispose]()
  })

  it.each([
    ['a caller that does not exist', 'nobody', { kind: 'Service', name: 'web' }, /pods "nobody" not found/],
    ['a service that does not exist', undefined, { kind: 'Service', name: 'nope' }, /services "nope" not found/],
    ['a host without port', undefined, { host: 'web' }, /a host needs a port/],
    ['no target at all', undefined, {}, /kind and name, or host and port/],
  ] as const)('refuses %s', async (_, source, target, message) => {
    const { bench, curl } = await start()
    await expect(ask(bench, source ?? curl.metadata.name, target)).rejects.toThrow(message)
    await bench[Symbol.asyncDispose]()
  })

  it('cannot be answered while an agent on the way is gone', async () => {
    const { bench, curl } = await start()
    await bench.agents.get(curl.spec!.nodeName!)!.client[Symbol.asyncDispose]()
    await bench.settle()
    await expect(ask(bench, curl.metadata.name, { host: 'web', port: 80 })).rejects.toThrow(/agent is not connected/)
    await bench[Symbol.asyncDispose]()
  })
})
