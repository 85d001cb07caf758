import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { createLoadBalancer, LOAD_BALANCERS } from './create-load-balancer.ts'
import { hashText } from './hash.ts'
import { UpstreamHost } from './host.ts'
import type { WeightedHost } from './load-balancer.ts'

function hosts(weights: readonly number[]): WeightedHost[] {
  return weights.map((weight, index) => {
    const address = `10.0.0.${index}:80`
    return { host: new UpstreamHost({ key: address, address, host: '', port: 80, addedMs: 0, weight }), weight }
  })
}

function share(list: readonly WeightedHost[], picks: readonly (UpstreamHost | undefined)[]): number[] {
  return list.map(({ host }) => picks.filter((pick) => pick === host).length / picks.length)
}

describe.each([...LOAD_BALANCERS.values()])('$policy', (definition) => {
  const init = { policy: definition.policy }
  const random = new SeededRandom(3)
  const draws = (list: WeightedHost[], count: number) => {
    const balancer = definition.create(list, init)
    return Array.from({ length: count }, (_, index) =>
      balancer.pick({ random, hash: definition.isConsistent ? hashText(`request ${index}`) : undefined }),
    )
  }

  it('has nobody to give where there is nobody', () => {
    expect(draws([], 3)).toEqual([undefined, undefined, undefined])
  })

  it('gives the only one', () => {
    const [only] = hosts([1])
    expect(draws([only!], 3)).toEqual([only!.host, only!.host, only!.host])
  })

  it('spreads evenly over equals', () => {
    const list = hosts([1, 1, 1, 1, 1])
    for (const part of share(list, draws(list, 20_000))) expect(part).toBeCloseTo(0.2, 1)
  })

  it('spreads by weight', () => {
    const list = hosts([1, 2, 5])
    const [light, middle, heavy] = share(list, draws(list, 30_000))
    expect(Math.abs(light! - 1 / 8)).toBeLessThan(0.03)
    expect(Math.abs(middle! - 2 / 8)).toBeLessThan(0.03)
    expect(Math.abs(heavy! - 5 / 8)).toBeLessThan(0.03)
  })

  it('answers a request without a hash', () => {
    const list = hosts([1, 1])
    const balancer = definition.create(list, init)
    const picks = Array.from({ length: 1000 }, () => balancer.pick({ random, hash: undefined }))
    for (const part of share(list, picks)) expect(part).toBeGreaterThan(0.3)
  })

  it.runIf(definition.isConsistent)('keeps a hash at its host, and moves few when a host comes or goes', () => {
    const ten = hosts(Array.from({ length: 10 }, () => 1))
    const before = definition.create(ten, init)
    const again = definition.create([...ten].reverse(), init)
    const fewer = definition.create(ten.slice(0, 9), init)
    let moved = 0
    for (let index = 0; index < 5000; index += 1) {
      const draw = { random, hash: hashText(`user ${index}`) }
      const pick = before.pick(draw)
      expect(before.pick(draw)).toBe(pick)
      expect(again.pick(draw)).toBe(pick)
      if (pick !== ten[9]!.host && fewer.pick(draw) !== pick) moved += 1
    }
    expect(moved / 5000).toBeLessThan(0.1)
  })
})

it('least request avoids a busy host', () => {
  const list = hosts([1, 1])
  list[0]!.host.activeRequests = 10
  const balancer = createLoadBalancer(list, { policy: 'LEAST_REQUEST' })
  const random = new SeededRandom(1)
  const [busy, idle] = share(
    list,
    Array.from({ length: 1000 }, () => balancer.pick({ random, hash: undefined })),
  )
  // Both draws fall on the busy one in a quarter of the cases.
  expect(busy).toBeCloseTo(0.25, 1)
  expect(idle).toBeCloseTo(0.75, 1)
})

it('round robin takes turns', () => {
  const list = hosts([1, 1, 1])
  const balancer = createLoadBalancer(list, { policy: 'ROUND_ROBIN' })
  const random = new SeededRandom(1)
  const six = Array.from({ length: 6 }, () => balancer.pick({ random, hash: undefined })!.key)
  expect(new Set(six.slice(0, 3)).size).toBe(3)
  expect(six.slice(3)).toEqual(six.slice(0, 3))
})
