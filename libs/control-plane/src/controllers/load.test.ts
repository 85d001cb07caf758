import type { Load, LoadSpec } from '@ambient-lab/api'
import { LOAD_RUN_TYPE, type LoadProgress } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ControlPlaneBench, deployment } from '../control-plane.conformance.ts'
import { DEPLOYMENTS, LOADS } from '../stored-kinds.ts'

function load(spec: Partial<LoadSpec>): Load {
  const whole = { from: 'deploy/curl', url: 'http://web:80/', rate: '20/s', ...spec }
  return { apiVersion: 'ambient.lab/v1', kind: 'Load', metadata: { name: 'l', namespace: 'default' }, spec: whole }
}

const SUMMARY = { min: 1, p50: 2, p90: 3, p99: 4, p999: 5, max: 6, mean: 2.5 }
const PROGRESS: LoadProgress = {
  ...{ name: 'l', namespace: 'default', state: 'running', startedAtMs: 1000, intended: 20, sent: 20, completed: 19 },
  ...{ failed: 1, late: 0, outcomes: { '200': 18, '503': 1 }, latencyMs: SUMMARY, uncorrectedMs: SUMMARY },
  ...{ histogram: '', message: '' },
}

describe('a load', () => {
  it('is given to the node of a ready pod of its sender, and its progress becomes its status', async () => {
    await using bench = await ControlPlaneBench.start()
    const agent = await bench.join('n1')
    await bench.create(DEPLOYMENTS, deployment('curl', 1))
    await bench.create(LOADS, load({ duration: '60s', warmup: '10s', bytes: '4KiB' }))
    const pod = bench.pods('curl')[0]!.metadata.name
    expect(agent.held.get(LOAD_RUN_TYPE)?.get('default/l')).toMatchObject({
      ...{ source: `Kubernetes//Pod/default/${pod}`, ratePerSecond: 20, durationMs: 60_000, warmupMs: 10_000 },
      ...{ bytes: 4096, method: 'GET' },
    })
    agent.client.report({ loads: [PROGRESS] })
    await bench.settle()
    expect(bench.get(LOADS, 'default/l').status).toMatchObject({
      ...{ phase: 'Running', node: 'n1', completed: 19, outcomes: { '200': 18, '503': 1 }, latencyMs: SUMMARY },
      startedAt: '1970-01-01T00:00:01Z',
    })
    agent.client.report({ loads: [{ ...PROGRESS, state: 'finished' }] })
    await bench.settle()
    expect(bench.get(LOADS, 'default/l').status?.phase).toBe('Finished')
    expect(agent.held.get(LOAD_RUN_TYPE)?.size).toBe(0)
  })

  it('waits for its sender, by whatever name', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    await bench.create(LOADS, load({ from: 'curl' }))
    expect(bench.get(LOADS, 'default/l').status).toMatchObject({
      phase: 'Pending',
      message: 'waits for a ready pod of curl',
    })
    await bench.create(DEPLOYMENTS, deployment('curl', 1))
    expect(bench.get(LOADS, 'default/l').status?.node).toBe('n1')
  })

  it('fails when the pod that sends goes away', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.join('n1')
    await bench.create(DEPLOYMENTS, deployment('curl', 1))
    await bench.create(LOADS, load({}))
    await bench.controlPlane.cluster.remove(DEPLOYMENTS, 'default/curl')
    await bench.settle(500)
    expect(bench.get(LOADS, 'default/l').status).toMatchObject({ phase: 'Failed' })
  })
})
