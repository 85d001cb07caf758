import type { Authorization, AuthorizationMatch } from '@ambient-lab/policy'
import { ADDRESS_TYPE, type Checkpoint } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { memoryGround } from '../ztunnel/memory-ground.conformance.ts'
import { serviceOf, TwoNodes, workloadOf } from '../ztunnel/two-nodes.conformance.ts'

let mesh: TwoNodes

beforeEach(async () => {
  mesh = new TwoNodes(memoryGround())
  await mesh.start()
})
afterEach(() => mesh.stop())

/** The whole way, as a control plane asks for it. */
function review(source: string, host: string, port: number): readonly Checkpoint[] {
  const nodes = { a: mesh.a, b: mesh.b } as const
  const from = source === 'echo' ? mesh.b : mesh.a
  const first = from.ztunnel.review({ at: 'source', uid: `Kubernetes//Pod/default/${source}`, host, port })
  if (!first.next) return first.checkpoints
  const { node, uid, protocol, authority, identity, sourceIp } = first.next
  const there = nodes[node as 'a' | 'b'].ztunnel
  const second = there.review({ at: 'destination', uid, protocol, authority, identity, sourceIp })
  return [...first.checkpoints, ...second.checkpoints]
}

const ruleOf = (...matches: AuthorizationMatch[]): Pick<Authorization, 'rules'> => ({
  rules: [{ clauses: [{ matches }] }],
})
const curl: AuthorizationMatch = { principals: [{ exact: 'cluster.local/ns/default/sa/curl' }] }
const nobody: AuthorizationMatch = { principals: [{ exact: 'cluster.local/ns/default/sa/nobody' }] }

const POLICIES: readonly (readonly [string, Partial<Authorization> | undefined])[] = [
  ['no policy', undefined],
  ['nothing is allowed', { action: 'ALLOW' }],
  ['the caller is allowed', { action: 'ALLOW', ...ruleOf(curl) }],
  ['somebody else is allowed', { action: 'ALLOW', ...ruleOf(nobody) }],
  ['the caller is denied', { action: 'DENY', ...ruleOf(curl) }],
  ['somebody else is denied', { action: 'DENY', ...ruleOf(nobody) }],
  ['plaintext is denied', { action: 'DENY', ...ruleOf({ notPrincipals: [{ presence: true }] }) }],
  ['the port is denied', { action: 'DENY', ...ruleOf({ destinationPorts: [8080] }) }],
  ['another port is denied', { action: 'DENY', ...ruleOf({ destinationPorts: [81] }) }],
  ['a dry run denies', { action: 'DENY', dryRun: true, rules: [{ clauses: [] }] }],
]
const WAYS = [
  ['curl', 'echo', 80],
  ['curl', '10.244.2.5', 8080],
  ['curl', '10.244.2.5', 9999],
  ['curl', 'empty', 80],
  ['curl', 'nobody', 80],
  ['bare', 'echo', 80],
  ['echo', 'echo', 80],
  ['echo', '10.244.2.5', 8080],
  ['echo', '127.0.0.1', 8080],
] as const

describe('a DENY in dry run', () => {
  it('is told of where it matches, and decides nothing', () => {
    mesh.policy('p', { action: 'DENY', dryRun: true, ...ruleOf(curl) })
    const checkpoints = review('curl', 'echo', 80)
    expect(checkpoints).toContainEqual(
      expect.objectContaining({ point: 'dry-run', reason: 'not enforced: DENY default/p would refuse it' }),
    )
    expect(checkpoints).toContainEqual(expect.objectContaining({ point: 'deny', reason: 'no DENY policy applies' }))
    expect(checkpoints.at(-1)).toMatchObject({ point: 'listener', verdict: 'ok' })
  })

  it('is not told of where it does not', () => {
    mesh.policy('p', { action: 'DENY', dryRun: true, ...ruleOf(nobody) })
    expect(review('curl', 'echo', 80).map(({ point }) => point)).not.toContain('dry-run')
  })
})

describe('review', () => {
  describe.each(POLICIES)('when %s', (_, policy) => {
    it.each(WAYS)('says of %s → %s:%i what a connection then meets', async (source, host, port) => {
      if (policy) mesh.policy('p', policy)
      const checkpoints = review(source, host, port)
      const allowed = checkpoints.every(({ verdict }) => verdict !== 'denied')
      const { program, reply } = await mesh.dial(source, host, port, 'hello')
      await mesh.ground.until(() => program.text === 'HELLO' || program.closed || program.ended)
      expect({ arrived: reply === 0 && program.text === 'HELLO' }, JSON.stringify(checkpoints)).toEqual({
        arrived: allowed,
      })
      const flag = checkpoints.at(-1)?.responseFlags
      const recorded = [...mesh.a.connections, ...mesh.b.connections].filter(({ state }) => state === 'failed')
      if (!allowed) expect(recorded.map(({ responseFlags }) => responseFlags)).toContain(flag)
    })
  })

  it('knows that a workload which dials itself meets nobody on the way', async () => {
    mesh.policy('p', { action: 'ALLOW' })
    expect(review('echo', '10.244.2.5', 8080).map(({ point }) => point)).toEqual([
      'capture',
      'name',
      'route',
      'listener',
    ])
    expect(review('echo', '10.244.2.5', 9999).at(-1)).toMatchObject({ point: 'listener', verdict: 'denied' })
    expect((await mesh.dial('echo', '10.244.2.5', 9999)).reply).toBe(5)
  })

  it('shows the fields that were compared, in the words of the YAML', () => {
    mesh.policy('p', { action: 'ALLOW', ...ruleOf({ ...nobody, destinationPorts: [8080] }) })
    expect(review('curl', 'echo', 80).at(-1)).toMatchObject({
      point: 'allow',
      at: 'ztunnel b',
      verdict: 'denied',
      reason: 'connection closed due to policy rejection: allow policies exist, but none allowed',
      policies: [
        {
          policy: 'default/p',
          matched: false,
          fields: [
            { rule: 0, field: 'to.operation.ports', wanted: ['8080'], got: '8080', held: true },
            {
              rule: 0,
              field: 'from.source.principals',
              wanted: ['cluster.local/ns/default/sa/nobody'],
              got: 'cluster.local/ns/default/sa/curl',
              held: false,
            },
          ],
        },
      ],
    })
  })

  it('leads to the waypoint of a service, and not on to its endpoints', () => {
    const gateway = {
      hostname: { namespace: 'default', hostname: 'wp.default.svc.cluster.local' },
      hboneMtlsPort: 15008,
    }
    const services = { 'default/wp.default.svc.cluster.local': [] }
    mesh.push(ADDRESS_TYPE, [
      { workload: workloadOf('wp', 'b', '10.244.2.9', { services, nativeTunnel: true }) },
      {
        service: serviceOf('wp', '10.96.0.20', {
          ports: [{ servicePort: 15008, targetPort: 15008, appProtocol: 'UNKNOWN' }],
        }),
      },
      { service: serviceOf('guarded', '10.96.0.21', { waypoint: gateway }) },
    ])
    const uid = 'Kubernetes//Pod/default/curl'
    expect(mesh.a.ztunnel.review({ at: 'source', uid, host: 'guarded', port: 80 }).next).toEqual({
      kind: 'waypoint',
      uid: 'Kubernetes//Pod/default/wp',
      node: 'b',
      protocol: 'HBONE',
      authority: '10.96.0.21:80',
      identity: 'spiffe://cluster.local/ns/default/sa/curl',
      sourceIp: '10.244.1.4',
      service: 'default/guarded.default.svc.cluster.local',
    })
  })

  it('says of a workload that is not here that it is not', () => {
    const [only] = mesh.a.ztunnel.review({
      at: 'source',
      uid: 'Kubernetes//Pod/default/echo',
      host: 'echo',
      port: 80,
    }).checkpoints
    expect(only).toMatchObject({ verdict: 'denied', point: 'capture' })
  })
})
