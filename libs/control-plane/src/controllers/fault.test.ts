import type { Fault, FaultSpec } from '@ambient-lab/api'
import { LINK_FAULT_TYPE } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ControlPlaneBench } from '../control-plane.conformance.ts'
import { MemoryStore } from '../store/memory-store.ts'
import { FAULTS, NODES } from '../stored-kinds.ts'
import { nextStatus } from './fault.ts'

function fault(spec: Partial<FaultSpec>): Fault {
  const whole = { type: 'partition', from: ['n1'], to: ['n2'], duration: 'forever', ...spec } as const
  return { apiVersion: 'ambient.lab/v1', kind: 'Fault', metadata: { name: 'f-1' }, spec: whole }
}

describe('a fault', () => {
  it('reaches the agents, says which have it, and ends with its time', async () => {
    await using bench = await ControlPlaneBench.start()
    const agent = await bench.join('n1')
    await bench.join('n2')
    const params = { delay: '120ms', jitter: '20ms' }
    await bench.create(FAULTS, fault({ type: 'link.delay', duration: '10s', params }))
    expect(agent.held.get(LINK_FAULT_TYPE)?.get('f-1')).toMatchObject({ type: 'delay', delayMs: 120, jitterMs: 20 })
    expect(bench.get(FAULTS, 'f-1').status).toMatchObject({ phase: 'Active', programmed: ['n1', 'n2'] })
    await bench.settle(9000)
    expect(bench.get(FAULTS, 'f-1').status?.phase).toBe('Active')
    await bench.settle(1500)
    expect(bench.get(FAULTS, 'f-1').status).toMatchObject({ phase: 'Ended', reason: 'Expired', programmed: [] })
    expect(agent.held.get(LINK_FAULT_TYPE)?.size).toBe(0)
  })

  it('ends when nobody renews its lease, and not while somebody does', async () => {
    await using bench = await ControlPlaneBench.start()
    await bench.create(FAULTS, fault({ leaseSeconds: 5, renewTime: bench.controlPlane.cluster.now() }))
    for (let renewals = 0; renewals < 5; renewals += 1) {
      await bench.settle(3000)
      await bench.controlPlane.cluster.update(FAULTS, 'f-1', (current) => ({
        ...current,
        spec: { ...current.spec!, renewTime: bench.controlPlane.cluster.now() },
      }))
    }
    expect(bench.get(FAULTS, 'f-1').status?.phase).toBe('Active')
    await bench.settle(6000)
    expect(bench.get(FAULTS, 'f-1').status).toMatchObject({ phase: 'Ended', reason: 'LeaseNotRenewed' })
  })

  it('says who has it as soon as the store has room for that', async () => {
    const store = new MemoryStore()
    await using bench = await ControlPlaneBench.start({ store })
    await bench.join('n1')
    await bench.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n2' }, spec: {} })
    await bench.create(FAULTS, fault({}))
    store.isFull = true
    await bench.join('n2')
    expect(bench.get(FAULTS, 'f-1').status?.programmed).toEqual(['n1'])
    store.isFull = false
    await bench.settle(6000)
    expect(bench.get(FAULTS, 'f-1').status?.programmed).toEqual(['n1', 'n2'])
  })

  it('is healed by deleting it', async () => {
    await using bench = await ControlPlaneBench.start()
    const agent = await bench.join('n1')
    await bench.create(FAULTS, fault({}))
    expect(agent.held.get(LINK_FAULT_TYPE)?.get('f-1')).toMatchObject({ type: 'partition' })
    await bench.controlPlane.cluster.remove(FAULTS, 'f-1')
    await bench.settle()
    expect(agent.held.get(LINK_FAULT_TYPE)?.size).toBe(0)
  })

  it('that kills a node is left to its supervisor: no agent hears of it', async () => {
    await using bench = await ControlPlaneBench.start()
    const agent = await bench.join('n1')
    await bench.create(FAULTS, fault({ type: 'node.kill', node: 'n1', duration: '3s' }))
    expect(agent.held.get(LINK_FAULT_TYPE)?.size).toBe(0)
    expect(bench.get(FAULTS, 'f-1').status?.phase).toBe('Active')
  })
})

describe('its status', () => {
  const startedAt = '2026-01-01T00:00:00.000Z'
  const startMs = Date.parse(startedAt)
  const active = (spec: Partial<FaultSpec>): Fault => ({ ...fault(spec), status: { phase: 'Active', startedAt } })

  it.each<[string, Fault, number, object]>([
    ['starts', fault({ duration: '1m' }), startMs, { phase: 'Active', startedAt, endsAt: '2026-01-01T00:01:00.000Z' }],
    ['goes on', active({ duration: '1m' }), startMs + 59_999, { phase: 'Active' }],
    ['ends', active({ duration: '1m' }), startMs + 60_000, { phase: 'Ended', reason: 'Expired' }],
    ['never ends by itself', active({}), startMs + 1e12, { phase: 'Active' }],
    ['has a lease that was never renewed', active({ leaseSeconds: 5 }), startMs + 5000, { phase: 'Ended' }],
    ['stays ended', { ...fault({}), status: { phase: 'Ended', reason: 'Expired' } }, startMs, { phase: 'Ended' }],
  ])('%s', (_, given, nowMs, expected) => {
    expect(nextStatus(given, nowMs)).toMatchObject(expected)
  })
})
