import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { evaluateDryRuns, evaluateRequest, isAudited } from './evaluate-request.ts'
import { explainRequest } from './explain.ts'
import type { HttpAuthorization } from './http-authorization.ts'
import { HttpPolicies } from './http-policies.ts'
import { smallestFix } from './smallest-fix.ts'
import { policies, requests } from './test-kit/arbitraries.ts'

/** Shows every policy, which is the linear scan. */
const SCAN = {}
const RUNS = { numRuns: 1000, seed: 7 }

describe('policies of a waypoint', () => {
  it('answer from the index what a scan answers, rule for rule', () => {
    fc.assert(
      fc.property(policies, requests, (sources, facts) => {
        const { audit, deny, allow } = new HttpPolicies(sources)
        for (const table of [audit, deny, allow]) expect(table.match(facts)).toBe(table.match(facts, SCAN))
      }),
      RUNS,
    )
  })

  it('decide while somebody asks why as they do when nobody does', () => {
    fc.assert(
      fc.property(policies, requests, (sources, facts) => {
        const compiled = new HttpPolicies(sources)
        const { verdict, audited, policies: shown } = explainRequest(facts, compiled)
        expect(verdict).toBe(evaluateRequest(facts, compiled))
        expect(audited).toBe(isAudited(facts, compiled))
        const decisive = shown.find(({ matched, dryRun, action }) => matched && !dryRun && action !== 'AUDIT')
        expect(decisive?.policy).toBe(verdict.policy)
      }),
      RUNS,
    )
  })

  it('do not depend on the order in which they come, nor on that of their rules', () => {
    fc.assert(
      fc.property(policies, requests, fc.func(fc.nat()), (sources, facts, rank) => {
        const shuffle = <T>(items: readonly T[]) => items.toSorted((a, b) => rank(a) - rank(b))
        const verdict = evaluateRequest(facts, new HttpPolicies(sources))
        expect(evaluateRequest(facts, new HttpPolicies(shuffle(sources)))).toEqual(verdict)
        const shuffled = sources.map((source) => ({ ...source, rules: shuffle(source.rules) }))
        expect(evaluateRequest(facts, new HttpPolicies(shuffled))).toEqual(verdict)
      }),
      RUNS,
    )
  })

  it('are the same without those in dry run', () => {
    fc.assert(
      fc.property(policies, requests, (sources, facts) => {
        const enforced = new HttpPolicies(sources.filter(({ dryRun }) => !dryRun))
        expect(evaluateRequest(facts, new HttpPolicies(sources))).toEqual(evaluateRequest(facts, enforced))
        expect(evaluateDryRuns(facts, enforced)).toBeUndefined()
      }),
      RUNS,
    )
  })

  it('have a fix that turns the verdict round, and nothing less of it does', () => {
    fc.assert(
      fc.property(policies, requests, (sources, facts) => {
        const before = evaluateRequest(facts, new HttpPolicies(sources))
        const { changes } = smallestFix(facts, new HttpPolicies(sources), { namespace: 'ns' })
        const after = (skipped: number) => {
          const applied = changes.filter((_, index) => index !== skipped).reduce(applyChange, sources)
          return evaluateRequest(facts, new HttpPolicies(applied)).allowed
        }
        expect(changes.length).toBeGreaterThan(0)
        expect(after(-1)).toBe(!before.allowed)
        for (const skipped of changes.keys()) expect(after(skipped)).toBe(before.allowed)
      }),
      RUNS,
    )
  })
})

function applyChange(
  sources: readonly HttpAuthorization[],
  { before, after }: { readonly before: HttpAuthorization | undefined; readonly after: HttpAuthorization },
): readonly HttpAuthorization[] {
  if (!before) return [...sources, after]
  return sources.map((source) => (source.name === before.name ? after : source))
}
