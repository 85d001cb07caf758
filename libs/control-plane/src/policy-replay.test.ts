import type { PolicyReplay, PolicyReplaySpec } from '@ambient-lab/api'
import { AUTHORIZATION_TYPE } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ControlPlaneBench } from './control-plane.conformance.ts'
import { AUTHORIZATION_POLICIES } from './stored-kinds.ts'

const USER = { name: 'admin', groups: ['system:masters'] }
const policy = (name: string, spec: object) => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name, namespace: 'default' },
  spec,
})

async function ask(bench: ControlPlaneBench, spec: PolicyReplaySpec): Promise<PolicyReplay> {
  const create = bench.controlPlane.apiHooks().createOnly!['ambient.lab/policyreplays']!
  const object = { apiVersion: 'ambient.lab/v1', kind: 'PolicyReplay', metadata: { name: 'x' }, spec }
  const [answer] = await Promise.all([create({ object, user: USER, dryRun: false }), bench.settle()])
  return answer as PolicyReplay
}

describe('a PolicyReplay', () => {
  it('tells every agent what would be served otherwise, and nothing else', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    await bench.create(AUTHORIZATION_POLICIES, policy('old', { action: 'DENY', rules: [{}] }) as never)
    await ask(bench, { objects: [policy('new', {})], remove: [policy('old', {})], sinceSeconds: 60 })
    const [query] = bench.agents.get('n1')!.replays
    expect(query).toMatchObject({
      sinceMs: 60_000,
      changes: [{ typeUrl: AUTHORIZATION_TYPE, upserts: [{ name: 'default/new' }], removed: ['default/old'] }],
    })
    expect(bench.names(AUTHORIZATION_TYPE)).toEqual(['default/old'])
  })

  it('adds the answers up, the largest flips first', async () => {
    await using bench = await ControlPlaneBench.start()
    for (const [node, count] of [
      ['n1', 2],
      ['n2', 5],
    ] as const) {
      await bench.join(node)
      const flip = { identity: '', destination: 'web.default', port: 80, lastAtMs: 0, reason: 'denied' } as const
      bench.agents.get(node)!.replay = () => ({
        decisions: 10,
        flips: [{ ...flip, at: `ztunnel ${node}`, count, becomes: 'denied' }],
        refused: [],
      })
    }
    const { status } = await ask(bench, { objects: [policy('new', {})] })
    expect(status).toMatchObject({ decisions: 20, silentNodes: [], flips: [{ count: 5 }, { count: 2 }] })
  })

  it('names nodes that do not answer', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    bench.agents.get('n1')!.replay = () => {
      throw new Error('no')
    }
    expect((await ask(bench, { objects: [] })).status).toMatchObject({ decisions: 0, silentNodes: ['n1'] })
  })

  it.each([
    [
      'a kind that is none',
      { apiVersion: 'x/v1', kind: 'Nothing', metadata: { name: 'x' } },
      /there is no kind Nothing/,
    ],
    ['an object without name', { ...policy('', {}), metadata: {} }, /without metadata.name/],
    ['an object that is not valid', policy('x', { action: 'MAYBE' }), /spec.action/],
  ])('refuses %s', async (_, object, message) => {
    await using bench = await ControlPlaneBench.start()
    await expect(ask(bench, { objects: [object as never] })).rejects.toThrow(message)
  })
})
