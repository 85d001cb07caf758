import type { Pod } from '@ambient-lab/api'
import { VirtualClock } from '@ambient-lab/std'
import type { ContainerReport, WorkloadReport } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { withoutAgent, withReport } from './pod-status.ts'

const POD: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'a', namespace: 'shop' },
  spec: { nodeName: 'n1', containers: [{ name: 'app' }, { name: 'istio-proxy' }] },
}
const REPORT: WorkloadReport = {
  ...{ uid: 'u', phase: 'Running', ready: true, reason: '', message: '', restarts: 0, startedAtMs: 1_000 },
  ...{ captured: false, ports: {} },
}
const RUNNING = { phase: 'running', ready: true, reason: '', message: '', restarts: 0 } as const
const clock = new VirtualClock()

function statusesOf(report: Partial<WorkloadReport>): readonly object[] {
  const { status } = withReport(POD, { ...REPORT, ...report }, '127.0.0.1', clock)
  return (status?.containerStatuses ?? []).map(({ name, ready, restartCount, state }) => ({
    ...{ name, ready, restartCount },
    state: state?.running ? 'running' : (state?.waiting ?? state?.terminated)?.reason,
  }))
}

describe('the containers of a pod', () => {
  const app = { name: 'app', ready: true, restartCount: 0, state: 'running' }
  it.each<[string, Partial<WorkloadReport>, readonly object[]]>([
    [
      'are as the whole where nobody tells of each',
      { restarts: 2 },
      [
        { ...app, restartCount: 2 },
        { ...app, name: 'istio-proxy', restartCount: 2 },
      ],
    ],
    [
      'are each as told: one restarts, and the other goes on',
      {
        ready: false,
        containers: [
          { ...RUNNING, name: 'app' },
          { ...RUNNING, name: 'istio-proxy', phase: 'waiting', ready: false, reason: 'CrashLoopBackOff', restarts: 3 },
        ],
      },
      [app, { name: 'istio-proxy', ready: false, restartCount: 3, state: 'CrashLoopBackOff' }],
    ],
    [
      'have not begun before they are told of',
      { ready: false, containers: [{ ...RUNNING, name: 'istio-proxy' }] },
      [
        { name: 'app', ready: false, restartCount: 0, state: 'ContainerCreating' },
        { ...app, name: 'istio-proxy' },
      ],
    ],
    [
      'end as told, well or not',
      { ready: false, containers: [ended('app', 'Completed'), ended('istio-proxy', 'Error')] },
      [
        { name: 'app', ready: false, restartCount: 0, state: 'Completed' },
        { name: 'istio-proxy', ready: false, restartCount: 0, state: 'Error' },
      ],
    ],
  ])('%s', (_title, report, expected) => {
    expect(statusesOf(report)).toEqual(expected)
  })

  it('are the same object when a report tells nothing new', () => {
    const containers = [
      { ...RUNNING, name: 'app' },
      { ...RUNNING, name: 'istio-proxy' },
    ]
    const once = withReport(POD, { ...REPORT, containers }, '127.0.0.1', clock)
    expect(withReport(once, { ...REPORT, containers: [...containers] }, '127.0.0.1', clock)).toBe(once)
  })

  it('are not ready while no agent tells of them', () => {
    const { status } = withoutAgent(withReport(POD, REPORT, '127.0.0.1', clock), 'AgentGone', clock)
    expect(status?.containerStatuses?.map(({ ready }) => ready)).toEqual([false, false])
    expect(status?.conditions?.find(({ type }) => type === 'Ready')).toMatchObject({ status: 'False' })
  })
})

function ended(name: string, reason: string): ContainerReport {
  return { name, phase: 'terminated', ready: false, reason, message: '', restarts: 0 }
}
