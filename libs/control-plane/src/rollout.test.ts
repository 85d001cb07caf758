import type { DeploymentSpec } from '@ambient-lab/api'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planRollout, type RolloutState, rollingBounds } from './rollout.ts'

function spec(strategy?: DeploymentSpec['strategy']): DeploymentSpec {
  return { selector: {}, template: { spec: { containers: [] } }, ...(strategy && { strategy }) }
}

const rolling = (maxSurge: number | string, maxUnavailable: number | string) =>
  spec({ type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } })

describe('bounds of a rolling update', () => {
  it.each([
    ['25%', '25%', 4, { surge: 1, unavailable: 1 }],
    ['25%', '25%', 1, { surge: 1, unavailable: 0 }],
    ['25%', '25%', 10, { surge: 3, unavailable: 2 }],
    [2, 0, 3, { surge: 2, unavailable: 0 }],
    [0, 0, 3, { surge: 0, unavailable: 1 }],
    ['0%', '10%', 3, { surge: 0, unavailable: 1 }],
    ['100%', '100%', 3, { surge: 3, unavailable: 3 }],
  ])('maxSurge %s, maxUnavailable %s of %i', (surge, unavailable, desired, expected) => {
    expect(rollingBounds(rolling(surge, unavailable), desired)).toEqual(expected)
  })
})

describe('one step of a rollout', () => {
  const old = (replicas: number, available: number) => [{ name: 'old', replicas, available }]

  it.each<[string, DeploymentSpec, RolloutState, number, Record<string, number>]>([
    [
      'a new Deployment starts at once',
      rolling(1, 0),
      { desired: 3, current: { replicas: 0, available: 0 }, old: [] },
      3,
      {},
    ],
    [
      'scaling without another template',
      rolling(1, 0),
      { desired: 5, current: { replicas: 3, available: 3 }, old: [] },
      5,
      {},
    ],
    ['surge first', rolling(1, 0), { desired: 3, current: { replicas: 0, available: 0 }, old: old(3, 3) }, 1, {}],
    [
      'wait for the new one',
      rolling(1, 0),
      { desired: 3, current: { replicas: 1, available: 0 }, old: old(3, 3) },
      1,
      {},
    ],
    [
      'then one old goes',
      rolling(1, 0),
      { desired: 3, current: { replicas: 1, available: 1 }, old: old(3, 3) },
      1,
      { old: 2 },
    ],
    [
      'one may be missing',
      rolling(0, 1),
      { desired: 3, current: { replicas: 0, available: 0 }, old: old(3, 3) },
      0,
      { old: 2 },
    ],
    [
      'old ones that never were ready go first',
      rolling(1, 1),
      { desired: 3, current: { replicas: 1, available: 0 }, old: old(3, 2) },
      1,
      { old: 2 },
    ],
    [
      'Recreate stops the old ones',
      spec({ type: 'Recreate' }),
      { desired: 3, current: { replicas: 0, available: 0 }, old: old(3, 3) },
      0,
      { old: 0 },
    ],
    [
      'and starts the new ones when they are gone',
      spec({ type: 'Recreate' }),
      { desired: 3, current: { replicas: 0, available: 0 }, old: old(0, 0) },
      3,
      {},
    ],
  ])('%s', (_, deployment, state, current, scaled) => {
    const plan = planRollout(deployment, state)
    expect([plan.current, Object.fromEntries(plan.old)]).toEqual([current, scaled])
  })

  it('reaches its end without ever breaking its bounds, whatever the numbers', () => {
    const numbers = {
      desired: fc.integer({ min: 1, max: 12 }),
      surge: fc.nat(4),
      unavailable: fc.nat(4),
      before: fc.nat(12),
    }
    fc.assert(
      fc.property(fc.record(numbers), ({ desired, surge, unavailable, before }) => {
        const deployment = rolling(surge, unavailable)
        const bounds = rollingBounds(deployment, desired)
        let current = { replicas: 0, available: 0 }
        let rest = { replicas: before, available: before }
        for (let step = 0; step < 100; step += 1) {
          const plan = planRollout(deployment, { desired, current, old: [{ name: 'old', ...rest }] })
          const left = plan.old.get('old') ?? rest.replicas
          const total = plan.current + left
          expect(total).toBeLessThanOrEqual(Math.max(desired + bounds.surge, before))
          const stillAvailable = Math.min(current.available, plan.current) + Math.min(rest.available, left)
          const hadAvailable = current.available + rest.available
          expect(stillAvailable).toBeGreaterThanOrEqual(Math.min(hadAvailable, desired - bounds.unavailable))
          rest = { replicas: left, available: left }
          current = { replicas: plan.current, available: Math.min(current.available, plan.current) }
          // Pods of the new template become ready one at a time.
          current.available = Math.min(current.replicas, current.available + 1)
        }
        expect([current.replicas, rest.replicas]).toEqual([desired, 0])
      }),
      { seed: 1 },
    )
  })
})
