import type { HttpAuthorization } from '@ambient-lab/policy'
import { FILTER_CHAIN_TYPE, type FilterChain, type ReplayAnswer } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { forwardRoute, MeshWithWaypoint, WEB } from '../waypoint/mesh-with-waypoint.conformance.ts'
import { memoryGround } from '../ztunnel/memory-ground.conformance.ts'

let mesh: MeshWithWaypoint

beforeEach(async () => {
  mesh = new MeshWithWaypoint(memoryGround())
  await mesh.start()
})
afterEach(() => mesh.stop())

const CHAIN = `default/waypoint|${WEB}|80`
const methods = (...allowed: string[]): HttpAuthorization => ({
  ...{ name: 'methods', namespace: 'default', action: 'ALLOW', dryRun: false },
  rules: [{ index: 0, clauses: [{ part: 'to', matches: [{ methods: allowed.map((exact) => ({ exact })) }] }] }],
})
const header: HttpAuthorization = {
  ...{ name: 'header', namespace: 'default', action: 'DENY', dryRun: false },
  rules: [
    { index: 0, clauses: [{ part: 'when', matches: [{ headers: [{ name: 'x-user', value: { exact: 'a' } }] }] }] },
  ],
}

function replay(...authorization: HttpAuthorization[]): ReplayAnswer {
  const [chain] = mesh.waypoint.config.chains()
  const resource: FilterChain = { ...chain!, http: { ...chain!.http!, authorization } }
  const changes = [{ typeUrl: FILTER_CHAIN_TYPE, upserts: [{ name: CHAIN, resource }], removed: [] } as const]
  return mesh.waypoint.replay({ changes, sinceMs: 300_000 })
}

describe('replay of requests', () => {
  it('tries a first policy on what passed before there was one', async () => {
    await mesh.get('/cart?x=1', ['x-user: a'], 'POST')
    expect(replay(methods('GET'))).toMatchObject({
      decisions: 1,
      refused: [],
      flips: [
        {
          ...{ at: 'waypoint default/waypoint', destination: 'web.default', port: 80, request: 'POST /cart', count: 1 },
          ...{ identity: 'spiffe://cluster.local/ns/default/sa/curl', becomes: 'denied' },
          reason: 'allow policies exist, but none allowed',
        },
      ],
    })
    expect(replay(header).flips).toMatchObject([{ becomes: 'denied', reason: 'explicitly denied by: default/header' }])
    expect(replay(methods('POST')).flips).toEqual([])
  })

  it('says which refusals would be none, alike ones together', async () => {
    mesh.routes([forwardRoute()], { authorization: [methods('GET')] })
    for (let count = 0; count < 3; count += 1) expect((await mesh.get('/', [], 'POST')).status).toBe(403)
    expect(replay(methods('GET', 'POST')).flips).toMatchObject([
      { count: 3, becomes: 'allowed', reason: 'default/methods' },
    ])
    expect(replay().flips).toMatchObject([{ count: 3, becomes: 'allowed', reason: 'no policy applies any more' }])
  })

  it('keeps a request as policies saw it, whatever filters make of it behind them', async () => {
    const requestHeaders = { set: [], add: [], remove: ['x-user'] }
    mesh.routes([forwardRoute({ requestHeaders })])
    await mesh.get('/', ['x-user: a'])
    expect(replay(header).flips).toMatchObject([{ becomes: 'denied' }])
  })

  it('keeps every refusal, and of what passes a sample', async () => {
    for (let count = 0; count < 5; count += 1) await mesh.get()
    expect(replay().decisions).toBe(1)
    mesh.routes([forwardRoute()], { authorization: [methods('GET')] })
    for (let count = 0; count < 5; count += 1) await mesh.get('/', [], 'POST')
    expect(replay().decisions).toBe(6)
  })

  it('says which chains it would refuse', () => {
    const rules = [{ index: 0, clauses: [{ part: 'to', matches: [{ nonsense: ['x'] }] }] }] as never
    expect(replay({ ...header, rules }).refused).toMatchObject([{ name: CHAIN }])
  })
})
