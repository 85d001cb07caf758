import { ConnectionFacts } from '@ambient-lab/policy'
import { VirtualClock } from '@ambient-lab/std'
import { Logging, silentLogger } from '@ambient-lab/telemetry'
import { ADDRESS_TYPE, AUTHORIZATION_TYPE } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ProxyStateHolder } from '../state/proxy-state-holder.ts'
import { DecisionLog } from './decision-log.ts'
import { InboundGuard } from './inbound-guard.ts'
import { workloadOf } from './two-nodes.conformance.ts'

const ECHO = workloadOf('echo', 'b', '10.244.2.5')
const FACTS = new ConnectionFacts({
  ...{ sourceIp: '10.244.1.4', destinationIp: '10.244.2.5', destinationPort: 8080 },
  identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'curl' },
})

describe('a policy in dry run', () => {
  it.each([
    ['a DENY that matches', 'DENY', [{ clauses: [] }], ['default/p']],
    ['a DENY of something else', 'DENY', [{ clauses: [{ matches: [{ destinationPorts: [81] }] }] }], []],
    ['an ALLOW that lets nobody in', 'ALLOW', [], []],
  ] as const)('%s is told, and stops nobody', (_, action, rules, told) => {
    const lines: string[] = []
    const logging = new Logging({ components: { clock: new VirtualClock(), sink: (line) => lines.push(line) } })
    const state = new ProxyStateHolder()
    const decisions = new DecisionLog({ clock: new VirtualClock() })
    const guard = new InboundGuard({ state, decisions, log: logging.logger('ztunnel') })
    const resource = { name: 'p', namespace: 'default', scope: 'NAMESPACE', action, dryRun: true, rules }
    expect(state.apply(ADDRESS_TYPE, [{ name: ECHO.uid, resource: { workload: ECHO } }], [])).toEqual([])
    expect(state.apply(AUTHORIZATION_TYPE, [{ name: 'default/p', resource }], [])).toEqual([])
    expect(guard.check(ECHO, FACTS)).toBeUndefined()
    expect(lines.map((line) => /dry-run: deny policy match.*policy="?([^"\s]+)/.exec(line)?.[1])).toEqual(told)
  })
})

describe('what is asked again after the workload was dialled', () => {
  const state = new ProxyStateHolder()
  const guard = new InboundGuard({
    state,
    decisions: new DecisionLog({ clock: new VirtualClock() }),
    log: silentLogger(),
  })

  it('is let through when nothing has changed', () => {
    state.apply(ADDRESS_TYPE, [{ name: ECHO.uid, resource: { workload: ECHO } }], [])
    expect(guard.recheck(ECHO.uid, FACTS)).toBeUndefined()
  })

  it('is refused when a policy came in between', () => {
    const deny = { name: 'deny', namespace: 'default', scope: 'NAMESPACE', action: 'DENY', dryRun: false } as const
    const resource = { ...deny, rules: [{ clauses: [] }] }
    state.apply(AUTHORIZATION_TYPE, [{ name: 'default/deny', resource }], [])
    expect(guard.recheck(ECHO.uid, FACTS)).toMatchObject({ code: 'POLICY_DENIED' })
  })

  it('is refused when the workload has left, and its own policies with it', () => {
    state.apply(AUTHORIZATION_TYPE, [], ['default/deny'])
    state.apply(ADDRESS_TYPE, [], [ECHO.uid])
    expect(guard.recheck(ECHO.uid, FACTS)).toMatchObject({ code: 'DESTINATION_UNKNOWN' })
  })
})
