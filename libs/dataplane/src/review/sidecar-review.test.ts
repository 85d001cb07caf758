import type { HttpAuthorization, HttpAuthorizationMatch } from '@ambient-lab/policy'
import type { Checkpoint, FilterChain, HttpConnectionManager, ReviewAnswer } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MeshWithSidecars } from '../sidecar/mesh-with-sidecars.conformance.ts'
import { clusterOf, forwardRoute } from '../waypoint/mesh-with-waypoint.conformance.ts'
import { memoryGround } from '../ztunnel/memory-ground.conformance.ts'

let mesh: MeshWithSidecars

beforeEach(async () => {
  mesh = new MeshWithSidecars(memoryGround())
  await mesh.start()
})
afterEach(() => mesh.stop())

/** The whole way of a request to `shop`, as a control plane asks for it. */
async function review(caller: string, method = 'GET', host = 'shop', port = 80): Promise<readonly Checkpoint[]> {
  const request = { method, path: '/', authority: 'shop', headers: {} }
  const uid = `Kubernetes//Pod/default/${caller}`
  const first = { at: 'source', uid, host, port, request } as const
  let answer: ReviewAnswer =
    caller === 'client' ? await mesh.client.proxy.review(first) : mesh.nodes.a.ztunnel.review(first)
  const checkpoints = [...answer.checkpoints]
  if (!answer.next) return checkpoints
  const { kind: _, ...hop } = answer.next
  answer = await mesh.shop.proxy.review({ at: 'destination', ...hop, request })
  return [...checkpoints, ...answer.checkpoints]
}

function policy(action: 'ALLOW' | 'DENY', part: 'from' | 'to', match: HttpAuthorizationMatch): HttpAuthorization {
  const rules = [{ index: 0, clauses: [{ part, matches: [match] }] }]
  return { name: `${action.toLowerCase()}-${part}`, namespace: 'default', action, dryRun: false, rules }
}

const CLIENT_ONLY = policy('ALLOW', 'from', { principals: [{ exact: 'cluster.local/ns/default/sa/client' }] })
const WORLDS: readonly (readonly [string, Partial<HttpConnectionManager>, Partial<FilterChain>])[] = [
  ['nothing', {}, {}],
  ['a DENY of POST', { authorization: [policy('DENY', 'to', { methods: [{ exact: 'POST' }] })] }, {}],
  ['an ALLOW of the client', { authorization: [CLIENT_ONLY] }, {}],
  ['STRICT', {}, { mutualTls: 'STRICT' }],
]

describe.each(WORLDS)('with %s at the side of the workload', (_title, guard, chain) => {
  it.each(['client', 'curl', 'bare'].flatMap((caller) => ['GET', 'POST'].map((method) => [caller, method] as const)))(
    'says of %s and %s what a request then meets',
    async (caller, method) => {
      mesh.inbound(chain, guard)
      const last = (await review(caller, method)).at(-1)!
      const said = last.httpStatus ?? (last.verdict === 'denied' ? undefined : 200)
      const { program, reply } = await mesh.nodes.dial(caller, 'shop', 80)
      expect(reply).toBe(0)
      program.say(`${method} / HTTP/1.1\r\nhost: shop\r\n${method === 'POST' ? 'content-length: 0\r\n' : ''}\r\n`)
      await mesh.ground.until(() => program.closed || program.text.includes('\r\n\r\n'))
      const status = /^HTTP\/1\.1 (\d+)/.exec(program.text)?.[1]
      expect(said, JSON.stringify(last)).toBe(status === undefined ? undefined : Number(status))
    },
  )
})

it('names the sidecars on the way, and who of them refuses', async () => {
  mesh.inbound({}, { authorization: [policy('DENY', 'to', { methods: [{ exact: 'POST' }] })] })
  const checkpoints = await review('client', 'POST')
  expect(checkpoints.map(({ at, point, verdict }) => `${at}: ${point} ${verdict}`)).toEqual([
    'sidecar default/client: capture ok',
    'sidecar default/client: name ok',
    'sidecar default/client: chain ok',
    'sidecar default/client: jwt skipped',
    'sidecar default/client: allow skipped',
    'sidecar default/client: route ok',
    'sidecar default/client: endpoint ok',
    'sidecar default/shop: certificate ok',
    'sidecar default/shop: chain ok',
    'sidecar default/shop: jwt skipped',
    'sidecar default/shop: deny denied',
  ])
})

it('knows where mutual TLS is off, what is unknown, and itself', async () => {
  const underlay = mesh.shop.proxy.sidecarAddresses['15006']!
  const services = { 'default/shop.default.svc.cluster.local': [] }
  const sidecar = { underlay, plaintext: true, exceptPorts: [] }
  mesh.addresses([{ workload: mesh.workloadOf(mesh.shop, { services, sidecar }) }])
  expect((await review('client')).some(({ point }) => point === 'certificate')).toBe(false)
  expect((await review('client', 'GET', 'nobody')).at(-1)).toMatchObject({ point: 'name', verdict: 'denied' })
  expect((await review('client', 'GET', '10.244.1.20', 9999)).at(-1)).toMatchObject({ point: 'listener' })
  mesh.proxy(mesh.client, { outbound: { mode: 'REGISTRY_ONLY' } })
  expect((await review('client', 'GET', '192.0.2.7', 9000)).at(-1)).toMatchObject({
    verdict: 'denied',
    responseFlags: 'UH',
  })
})

it('says that nothing listens, and that a route has no endpoint', async () => {
  mesh.shop.targets.clear()
  expect((await review('client')).at(-1)).toMatchObject({ point: 'listener', verdict: 'denied', httpStatus: 503 })
  mesh.clusters([clusterOf('none', { endpoints: { kind: 'service', service: 'default/none', servicePort: 80 } })])
  mesh.outbound([forwardRoute({}, 'none')])
  expect((await review('client')).at(-1)).toMatchObject({ at: 'sidecar default/client', responseFlags: 'UH' })
})
