import type { Authorization } from '@ambient-lab/policy'
import { ADDRESS_TYPE, AUTHORIZATION_TYPE, type ReplayAnswer, type ResourceChanges } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { memoryGround } from '../ztunnel/memory-ground.conformance.ts'
import { TwoNodes, workloadOf } from '../ztunnel/two-nodes.conformance.ts'

let mesh: TwoNodes

beforeEach(async () => {
  mesh = new TwoNodes(memoryGround())
  await mesh.start()
})
afterEach(() => mesh.stop())

const MINUTES_5 = 300_000
const policy = (name: string, overrides: Partial<Authorization> = {}): Authorization => ({
  ...{ name, namespace: 'default', scope: 'NAMESPACE', action: 'ALLOW', rules: [], dryRun: false },
  ...overrides,
})
const upsert = (...policies: Authorization[]): ResourceChanges => ({
  typeUrl: AUTHORIZATION_TYPE,
  upserts: policies.map((resource) => ({ name: `${resource.namespace}/${resource.name}`, resource })),
  removed: [],
})

/** A connection that is made and ended. */
async function call(source: string): Promise<void> {
  const { program } = await mesh.dial(source, 'echo', 80, 'x')
  await mesh.ground.until(() => program.text === 'X' || program.closed || program.ended)
  program.stream.end()
  await mesh.ground.until(() => program.closed)
}

function replay(...changes: ResourceChanges[]): ReplayAnswer {
  return mesh.b.ztunnel.replay({ changes, sinceMs: MINUTES_5 })
}

describe('replay', () => {
  it('says which late decisions other policies would have turned, and turns nothing', async () => {
    await call('curl')
    await call('curl')
    await call('bare')
    const before = mesh.b.ztunnel.state.current
    const answer = replay(
      upsert(policy('p', { rules: [{ clauses: [{ matches: [{ principals: [{ presence: true }] }] }] }] })),
    )
    expect(answer).toMatchObject({
      decisions: 3,
      refused: [],
      flips: [
        {
          at: 'ztunnel b',
          identity: '',
          destination: 'echo.default',
          port: 8080,
          count: 1,
          becomes: 'denied',
          reason: 'allow policies exist, but none allowed',
        },
      ],
    })
    expect(mesh.b.ztunnel.state.current).toBe(before)
    await call('bare')
    expect(mesh.servers).toHaveLength(4)
  })

  it('puts alike decisions together', async () => {
    for (let count = 0; count < 3; count += 1) await call('curl')
    expect(replay(upsert(policy('nothing'))).flips).toMatchObject([
      { identity: 'spiffe://cluster.local/ns/default/sa/curl', count: 3, becomes: 'denied' },
    ])
  })

  it('tells what would be allowed again when a policy goes', async () => {
    mesh.policy('nothing', {})
    await call('curl')
    const gone: ResourceChanges = { typeUrl: AUTHORIZATION_TYPE, upserts: [], removed: ['default/nothing'] }
    expect(replay(gone).flips).toMatchObject([{ count: 1, becomes: 'allowed', reason: 'no policy applies any more' }])
  })

  it('follows a policy that is attached to the workload', async () => {
    await call('curl')
    const attached = workloadOf('echo', 'b', '10.244.2.5', { authorizationPolicies: ['default/p'] })
    const workloads: ResourceChanges = {
      typeUrl: ADDRESS_TYPE,
      upserts: [{ name: attached.uid, resource: { workload: attached } }],
      removed: [],
    }
    const selector = policy('p', { scope: 'WORKLOAD_SELECTOR' })
    expect(replay(upsert(selector)).flips).toEqual([])
    expect(replay(upsert(selector), workloads).flips).toMatchObject([{ becomes: 'denied' }])
  })

  it('says which resources would be refused', () => {
    const broken: ResourceChanges = {
      typeUrl: AUTHORIZATION_TYPE,
      upserts: [{ name: 'default/broken', resource: { name: 7 } }],
      removed: [],
    }
    expect(replay(broken).refused).toMatchObject([{ name: 'default/broken' }])
  })

  it('looks back no further than it is asked', async () => {
    await call('curl')
    expect(mesh.b.ztunnel.replay({ changes: [upsert(policy('nothing'))], sinceMs: -1 }).decisions).toBe(0)
  })
})
