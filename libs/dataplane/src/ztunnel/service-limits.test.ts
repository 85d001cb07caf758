import { VirtualClock } from '@ambient-lab/std'
import type { ConnectionRate, L4Traffic } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { ProxyState } from '../state/proxy-state.ts'
import { EndpointEjection } from './endpoint-ejection.ts'
import { ServiceLimits, ServiceLimitsTable, shareOf } from './service-limits.ts'
import { serviceOf } from './two-nodes.conformance.ts'

const service = serviceOf('echo', '10.96.0.10')
const traffic = (fields: Partial<L4Traffic>): L4Traffic => ({ policy: 'default/p', ...fields })

describe('what may begin', () => {
  it('is limited by what is open, and freed by what ends', () => {
    const limits = new ServiceLimits({ clock: new VirtualClock() })
    const two = traffic({ connectionsMax: 2 })
    expect([1, 2, 3].map(() => limits.admit(service, two, 1)?.code)).toEqual([undefined, undefined, 'CONNECTION_LIMIT'])
    expect(limits.admit(service, two, 1)!.message).toBe(
      'connection limit of echo.default.svc.cluster.local reached: 2 (default/p)',
    )
    limits.release()
    expect(limits.admit(service, two, 1)).toBeUndefined()
  })

  it('is limited by its own rate and by its share of the global one, each in its words', async () => {
    const clock = new VirtualClock()
    const limits = new ServiceLimits({ clock })
    const both = traffic({
      localRate: { connections: 2, perMs: 1000 },
      globalRate: { connections: 3, perMs: 1000 },
    })
    const codes = () => [1, 2, 3].map(() => limits.admit(service, both, 3)?.message.split(' ')[0])
    expect(codes()).toEqual([undefined, 'global', 'local'])
    await clock.advance(1000)
    expect(codes()).toEqual([undefined, 'global', 'local'])
  })

  it('costs no token when the limit of open connections turned it away', () => {
    const limits = new ServiceLimits({ clock: new VirtualClock() })
    const policy = traffic({ connectionsMax: 1, localRate: { connections: 2, perMs: 1000 } })
    expect(limits.admit(service, policy, 1)).toBeUndefined()
    for (let call = 0; call < 5; call += 1) expect(limits.admit(service, policy, 1)?.code).toBe('CONNECTION_LIMIT')
    limits.release()
    expect(limits.admit(service, policy, 1)).toBeUndefined()
  })

  it.each<[ConnectionRate, number]>([
    [{ connections: 10, perMs: 1000 }, 1],
    [{ connections: 10, perMs: 1000 }, 3],
    [{ connections: 2, perMs: 60_000 }, 5],
    [{ connections: 1, perMs: 1000 }, 50],
  ])('shares %j among %i so that all together keep the rate', (rate, sharers) => {
    const { tokensPerFill, fillIntervalMs } = shareOf(rate, sharers)
    expect((tokensPerFill / fillIntervalMs) * sharers).toBeCloseTo(rate.connections / rate.perMs, 10)
    expect(Number.isInteger(tokensPerFill)).toBe(true)
  })

  it('is forgotten with the policy, unless a connection is still open', () => {
    const table = new ServiceLimitsTable({ clock: new VirtualClock() })
    const limits = table.of(service)
    limits.admit(service, traffic({ connectionsMax: 1 }), 1)
    table.follow(ProxyState.empty)
    expect(table.of(service)).toBe(limits)
    limits.release()
    table.follow(ProxyState.empty)
    expect(table.of(service)).not.toBe(limits)
  })
})

describe('an endpoint that cannot be connected to', () => {
  const outlier = { consecutiveFailures: 3, baseEjectionMs: 1000, ejectionPercentMax: 50 }
  const fail = (ejection: EndpointEjection, uid: string, times: number, endpoints = 4) => {
    for (let time = 0; time < times; time += 1) ejection.failed(uid, outlier, endpoints)
  }

  it('is left out after so many failures in a row, for longer each time', async () => {
    const clock = new VirtualClock()
    const ejection = new EndpointEjection({ clock })
    fail(ejection, 'a', 2)
    ejection.succeeded('a')
    fail(ejection, 'a', 2)
    expect(ejection.isEjected('a')).toBe(false)
    fail(ejection, 'a', 1)
    expect(ejection.isEjected('a')).toBe(true)
    await clock.advance(1000)
    expect(ejection.isEjected('a')).toBe(false)
    fail(ejection, 'a', 3)
    await clock.advance(1000)
    expect(ejection.isEjected('a')).toBe(true)
    await clock.advance(1000)
    expect(ejection.isEjected('a')).toBe(false)
  })

  it.each([
    [4, 2],
    [3, 1],
    [1, 1],
  ])('of %i endpoints at most %i are left out', (endpoints, out) => {
    const ejection = new EndpointEjection({ clock: new VirtualClock() })
    for (const uid of ['a', 'b', 'c', 'd'].slice(0, endpoints)) fail(ejection, uid, 3, endpoints)
    expect(ejection.ejectedCount).toBe(out)
  })
})
