import { SeededRandom, VirtualClock } from '@ambient-lab/std'
import type { LocalityLoadBalancing, OutlierDetection as OutlierConfig, Workload } from '@ambient-lab/xds'
import { beforeEach, describe, expect, it } from 'vitest'
import { CircuitBreaker } from './circuit-breaker.ts'
import { UpstreamHost } from './host.ts'
import { HostSelection, type HostSelectionInit } from './host-selection.ts'
import { levelShares, matchesLocality } from './locality.ts'
import { OutlierDetection } from './outlier-detection.ts'
import { warmUpShare } from './warm-up.ts'

function hostsAt(...places: string[]): UpstreamHost[] {
  return places.map((place, index) => {
    const [region = '', zone = '', subzone = ''] = place.split('/')
    const workload = { locality: { region, zone, subzone } } as Workload
    const address = `10.0.0.${index}:80`
    return new UpstreamHost({ key: address, address, host: '', port: 80, addedMs: 0, workload })
  })
}

describe('outlier detection', () => {
  const config: OutlierConfig = {
    consecutive5xx: 3,
    consecutiveGatewayErrors: 2,
    splitExternalLocalOriginErrors: false,
    consecutiveLocalOriginFailures: 2,
    intervalMs: 10_000,
    baseEjectionTimeMs: 30_000,
    maxEjectionPercent: 50,
    minHealthPercent: 0,
  }
  let clock: VirtualClock
  let hosts: UpstreamHost[]
  let changes: number
  const detect = (overrides: Partial<OutlierConfig> = {}) =>
    new OutlierDetection(
      {
        clock,
        hosts: () => hosts,
        onChange: () => {
          changes += 1
        },
      },
      { ...config, ...overrides },
    )
  beforeEach(() => {
    clock = new VirtualClock()
    hosts = hostsAt('', '', '', '')
    changes = 0
  })

  it.each<[string, Partial<OutlierConfig>, (number | 'local-origin-failure' | 'local-origin-timeout')[], boolean]>([
    ['three 500 in a row', {}, [500, 500, 500], true],
    ['a success in between', {}, [500, 500, 200, 500], false],
    ['two gateway errors', {}, [503, 502], true],
    ['a 500 ends a row of gateway errors', {}, [503, 500], false],
    ['a code that is named', { errorCodes: [429] }, [429, 429, 429], true],
    ['a gateway error that is named', { errorCodes: [503] }, [503, 503], true],
    ['codes that are not named', { errorCodes: [429] }, [503, 503, 500, 500], false],
    ['a code that is not named ends a row', { errorCodes: [429] }, [429, 429, 503, 429], false],
    ['failures to connect, whatever is named', { errorCodes: [429] }, Array(3).fill('local-origin-failure'), true],
    ['two time-outs are gateway errors', {}, ['local-origin-timeout', 'local-origin-timeout'], true],
    ['switched off', { consecutive5xx: 0, consecutiveGatewayErrors: 0 }, [503, 503, 503, 503], false],
    ['failures to connect are 503s', {}, ['local-origin-failure', 'local-origin-failure'], true],
    [
      'told apart: failures to connect alone',
      { splitExternalLocalOriginErrors: true },
      ['local-origin-failure', 503, 'local-origin-failure'],
      false,
    ],
    [
      'told apart: two failures to connect',
      { splitExternalLocalOriginErrors: true },
      ['local-origin-failure', 'local-origin-failure'],
      true,
    ],
  ])('%s', (_title, overrides, outcomes, ejected) => {
    const detection = detect(overrides)
    for (const outcome of outcomes) {
      detection.record(hosts[0]!, typeof outcome === 'number' ? { status: outcome } : outcome)
    }
    expect(hosts[0]!.health.isEjected).toBe(ejected)
    expect(changes).toBe(ejected ? 1 : 0)
  })

  it('ejects longer each time, and forgets in good times', async () => {
    const detection = detect()
    const fail = () => {
      for (let index = 0; index < 3; index += 1) detection.record(hosts[0]!, { status: 500 })
    }
    fail()
    await clock.advance(29_999)
    expect(hosts[0]!.health.isEjected).toBe(true)
    await clock.advance(1)
    expect(hosts[0]!.health.isEjected).toBe(false)
    fail()
    await clock.advance(59_999)
    expect(hosts[0]!.health.isEjected).toBe(true)
    await clock.advance(1)
    expect(hosts[0]!.health.isEjected).toBe(false)
    await clock.advance(20_000)
    fail()
    await clock.advance(30_000)
    expect(hosts[0]!.health.isEjected).toBe(false)
  })

  it.each([
    [50, 2],
    [10, 1],
    [100, 4],
  ])('with at most %s %% ejected ejects %s of four', (maxEjectionPercent, expected) => {
    const detection = detect({ maxEjectionPercent })
    for (const host of hosts) for (let index = 0; index < 3; index += 1) detection.record(host, { status: 500 })
    expect(hosts.filter(({ health }) => health.isEjected)).toHaveLength(expected)
  })
})

describe('host selection', () => {
  const PRIORITY = { failoverPriority: ['topology.kubernetes.io/region', 'topology.kubernetes.io/zone'] }
  const own = { network: '', locality: { region: 'eu', zone: 'a', subzone: '1' }, labels: {} }
  const sharesOf = (
    hosts: UpstreamHost[],
    locality: LocalityLoadBalancing | undefined,
    more: Partial<HostSelectionInit> = {},
    peers: UpstreamHost[] = [],
  ) => {
    const selection = new HostSelection(
      { clock: new VirtualClock() },
      { loadBalancing: { policy: 'RANDOM', ...(locality && { locality }) }, hasFailover: true, own, ...more },
    )
    selection.update(hosts)
    selection.updatePeers(peers.map((peer) => peer.locality))
    const random = new SeededRandom(5)
    const picks = Array.from({ length: 5000 }, () => selection.pick({ random, hash: undefined }))
    return hosts.map((host) => Math.round((10 * picks.filter((pick) => pick === host).length) / picks.length) / 10)
  }

  it.each<[string, string[], number[], LocalityLoadBalancing | undefined, number[]]>([
    ['everybody without a setting', ['eu/a/1', 'us/a/1'], [], undefined, [0.5, 0.5]],
    ['the nearest', ['eu/b/1', 'eu/a/1', 'us/a/1', 'eu/a/2'], [], {}, [0, 1, 0, 0]],
    ['the next when it is ejected', ['eu/b/1', 'eu/a/1', 'us/a/1'], [1], {}, [1, 0, 0]],
    ['70 % when half of the nearest are', ['eu/a/1', 'eu/a/1', 'us/a/1'], [0], {}, [0, 0.7, 0.3]],
    ['the region of failover', ['us/a/1', 'asia/a/1'], [], { failover: [{ from: 'eu', to: 'asia' }] }, [0, 1]],
    [
      'shares as distributed',
      ['eu/a/1', 'us/a/1', 'asia/a/1'],
      [],
      { distribute: [{ from: 'eu/*', to: { 'eu/*': 80, 'us/*': 20 } }] },
      [0.8, 0.2, 0],
    ],
    ['who has the labels of failoverPriority', ['eu/b/1', 'us/a/1', 'eu/a/9'], [], PRIORITY, [0, 0, 1]],
    ['who has the first of them next', ['eu/b/1', 'us/a/1', 'eu/a/9'], [2], PRIORITY, [1, 0, 0]],
    ['who has none of them last', ['eu/b/1', 'us/a/1', 'eu/a/9'], [0, 2], PRIORITY, [0, 1, 0]],
    [
      'who has the value that failoverPriority names',
      ['eu/a/1', 'us/a/1'],
      [],
      { failoverPriority: ['topology.kubernetes.io/region=us'] },
      [0, 1],
    ],
    ['nobody when all are ejected', ['eu/a/1'], [0], {}, [0]],
  ])('picks %s', (_title, places, ejected, locality, expected) => {
    const hosts = hostsAt(...places)
    for (const index of ejected) hosts[index]!.health.isEjected = true
    expect(sharesOf(hosts, locality)).toEqual(expected)
  })

  it.each<[string, string[], number[], LocalityLoadBalancing, number[]]>([
    ['the nearest does not count without outlier detection', ['eu/a/1', 'us/a/1'], [], {}, [0.5, 0.5]],
    [
      'shares as distributed need none',
      ['eu/a/1', 'us/a/1'],
      [],
      { distribute: [{ from: 'eu/*', to: { 'eu/*': 80, 'us/*': 20 } }] },
      [0.8, 0.2],
    ],
    [
      'what the service itself says does',
      ['eu/a/1', 'us/a/1'],
      [],
      { failoverPriority: ['topology.kubernetes.io/region'], isForced: true },
      [1, 0],
    ],
  ])('without outlier detection: %s', (_title, places, _ejected, locality, expected) => {
    expect(sharesOf(hostsAt(...places), locality, { hasFailover: false })).toEqual(expected)
  })

  it.each<[string, string[], LocalityLoadBalancing, number[]]>([
    [
      'shares that are for others leave everybody',
      ['eu/a/1', 'us/a/1'],
      { distribute: [{ from: 'us/*', to: { 'us/*': 100 } }] },
      [0.5, 0.5],
    ],
    [
      'labels first, then the region that is failed over to',
      ['us/a/1', 'asia/a/1'],
      { failoverPriority: ['topology.istio.io/network'], failover: [{ from: 'eu', to: 'asia' }] },
      [0, 1],
    ],
  ])('%s', (_title, places, locality, expected) => {
    expect(sharesOf(hostsAt(...places), locality)).toEqual(expected)
  })

  it.each<[string, number[], number, number[]]>([
    ['those that are left, above the threshold', [0, 1], 50, [0, 0, 0.3, 0.3, 0.3]],
    ['all, below it', [0, 1, 2], 50, [0.2, 0.2, 0.2, 0.2, 0.2]],
    ['all, where nobody is healthy', [0, 1, 2, 3, 4], 1, [0.2, 0.2, 0.2, 0.2, 0.2]],
    ['nobody, where no threshold is set', [0, 1, 2, 3, 4], 0, [0, 0, 0, 0, 0]],
  ])('with a panic threshold picks %s', (_title, ejected, panicPercent, expected) => {
    const hosts = hostsAt('', '', '', '', '')
    for (const index of ejected) hosts[index]!.health.isEjected = true
    expect(sharesOf(hosts, undefined, { panicPercent })).toEqual(expected)
  })

  it('panics at no level while others have room', () => {
    const hosts = hostsAt('eu/a/1', 'eu/a/1', 'eu/a/1', 'eu/a/1', 'us/a/1')
    for (const index of [0, 1, 2]) hosts[index]!.health.isEjected = true
    expect(sharesOf(hosts, {}, { panicPercent: 50 })).toEqual([0, 0, 0, 0.3, 0.7])
  })

  it('leaves out the levels of hosts that a retry wants to avoid, as long as there are others', () => {
    const hosts = hostsAt('eu/a/1', 'eu/b/1', 'us/a/1')
    const selection = new HostSelection(
      { clock: new VirtualClock() },
      { loadBalancing: { policy: 'RANDOM', locality: {} }, hasFailover: true, own },
    )
    selection.update(hosts)
    const random = new SeededRandom(5)
    const without = (...indexes: number[]) =>
      hosts.indexOf(selection.pick({ random, hash: undefined, avoidLevelsOf: indexes.map((at) => hosts[at]!) })!)
    expect([without(), without(0), without(0, 1), without(1), without(0, 1, 2)]).toEqual([0, 1, 2, 0, 0])
    hosts[1]!.health.isEjected = true
    selection.healthChanged()
    expect(without(0)).toBe(2)
  })

  const [A, B, C] = ['eu/a/1', 'eu/b/1', 'eu/c/1']
  it.each<[string, string[], string[], number, number[]]>([
    ['all to the own zone when it has its share', [A, A, B, B], [A, B], 4, [0.5, 0.5, 0, 0]],
    ['what it has room for, and the rest to where there is room', [A, B, B, B], [A, B], 4, [0.5, 0.2, 0.2, 0.2]],
    ['the rest by the room of each', [A, B, B, C, C, C, C, C], [A, A, A, B], 4, [0.2, 0, 0, 0.2, 0.2, 0.2, 0.2, 0.2]],
    ['everybody in a cluster that is too small', [A, B], [A, B], 6, [0.5, 0.5]],
    ['everybody where all replicas are in one zone', [A, B], [A, A], 2, [0.5, 0.5]],
    ['everybody where this proxy has no replica', [A, B], [B, C], 2, [0.5, 0.5]],
    ['none of another region', [A, B, 'us/a/1', 'us/a/1'], [A, B], 2, [1, 0, 0, 0]],
    ['where there is room when the own zone has nobody', [B, C], [A, B, C, C], 2, [1, 0]],
  ])('zone aware: %s', (_title, places, peers, minClusterSize, expected) => {
    const loadBalancing = { policy: 'RANDOM', zoneAware: { minClusterSize } } as const
    const shares = sharesOf(hostsAt(...places), undefined, { loadBalancing }, hostsAt(...peers))
    expect(shares).toEqual(expected)
  })

  it('zone aware: goes to the region that is failed over to when the own one is gone', () => {
    const hosts = hostsAt(A!, 'us/a/1', 'asia/a/1')
    hosts[0]!.health.isEjected = true
    const loadBalancing = {
      policy: 'RANDOM',
      zoneAware: { minClusterSize: 1, failover: [{ from: 'eu', to: 'asia' }] },
    } as const
    expect(sharesOf(hosts, undefined, { loadBalancing }, hostsAt(A!))).toEqual([0, 0, 1])
  })

  it('sends little to a host that warms up, and more with time', async () => {
    const clock = new VirtualClock()
    const [old] = hostsAt('')
    await clock.advance(100_000)
    const fresh = new UpstreamHost({ key: 'f', address: 'f', host: '', port: 1, addedMs: clock.monotonic() })
    const warmup = { durationMs: 10_000, minimumPercent: 10, aggression: 1 }
    const selection = new HostSelection(
      { clock },
      { loadBalancing: { policy: 'RANDOM', warmup }, hasFailover: false, own },
    )
    selection.update([old!, fresh])
    const random = new SeededRandom(5)
    const shareOfFresh = () => {
      const picks = Array.from({ length: 4000 }, () => selection.pick({ random, hash: undefined }))
      return picks.filter((pick) => pick === fresh).length / picks.length
    }
    expect(shareOfFresh()).toBeCloseTo(0.09, 1)
    await clock.advance(5000)
    expect(shareOfFresh()).toBeCloseTo(0.33, 1)
    await clock.advance(5000)
    expect(shareOfFresh()).toBeCloseTo(0.5, 1)
  })
})

it.each([
  [
    [1, 1],
    [1, 0],
  ],
  [
    [0.5, 1],
    [0.7, 0.3],
  ],
  [
    [0, 0],
    [0, 0],
  ],
  [
    [0.25, 0.25],
    [0.5, 0.5],
  ],
  [
    [0, 0, 1],
    [0, 0, 1],
  ],
])('levels of health %o get %o of the traffic', (healthy, expected) => {
  const shares = levelShares(healthy)
  for (const [index, part] of expected.entries()) expect(shares[index]).toBeCloseTo(part)
})

it.each([
  ['eu/a/1', true],
  ['eu/a/*', true],
  ['eu/a', true],
  ['eu/*', true],
  ['*', true],
  ['eu/b/*', false],
  ['us', false],
])('the place eu/a/1 fits %s: %s', (pattern, expected) => {
  expect(matchesLocality(pattern, { region: 'eu', zone: 'a', subzone: '1' })).toBe(expected)
})

it.each([
  [0, 0.1],
  [500, 0.5],
  [1000, 1],
])('a host %s ms old of 1000 has %s of its weight', (ageMs, expected) => {
  expect(warmUpShare({ durationMs: 1000, minimumPercent: 10, aggression: 1 }, ageMs)).toBeCloseTo(expected)
})

describe('circuit breakers', () => {
  it('say no at their limits, and yes again after a release', () => {
    const breaker = new CircuitBreaker({ clock: new VirtualClock() }, { maxConnections: 1, maxRequests: 2 })
    expect([breaker.acquire('connections'), breaker.acquire('connections')]).toEqual([true, false])
    expect([breaker.acquire('requests'), breaker.acquire('requests'), breaker.acquire('requests')]).toEqual([
      true,
      true,
      false,
    ])
    breaker.release('connections')
    expect(breaker.acquire('connections')).toBe(true)
    expect(breaker.acquire('pendingRequests')).toBe(true)
  })

  it('budget retries by what came within an interval, over or not', async () => {
    const clock = new VirtualClock()
    const breaker = new CircuitBreaker(
      { clock },
      { retryBudget: { percent: 50, minRetryConcurrency: 1, intervalMs: 1000 } },
    )
    const retriesAllowed = () => {
      let taken = 0
      while (breaker.acquire('retries')) taken += 1
      for (let index = 0; index < taken; index += 1) breaker.release('retries')
      return taken
    }
    for (let index = 0; index < 10; index += 1) {
      breaker.acquire('requests')
      breaker.release('requests')
    }
    expect(retriesAllowed()).toBe(5)
    await clock.advance(600)
    for (let index = 0; index < 4; index += 1) breaker.acquire('requests')
    expect(retriesAllowed()).toBe(7)
    await clock.advance(500)
    expect(retriesAllowed()).toBe(2)
    await clock.advance(60_000)
    expect(retriesAllowed()).toBe(1)
  })

  it('budget retries by what is in flight, above a floor', () => {
    const breaker = new CircuitBreaker(
      { clock: new VirtualClock() },
      { retryBudget: { percent: 20, minRetryConcurrency: 3 } },
    )
    const take = () => {
      let taken = 0
      while (breaker.acquire('retries')) taken += 1
      for (let index = 0; index < taken; index += 1) breaker.release('retries')
      return taken
    }
    expect(take()).toBe(3)
    for (let index = 0; index < 30; index += 1) breaker.acquire('requests')
    expect(take()).toBe(6)
  })
})
