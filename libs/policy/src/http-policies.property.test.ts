import { CodedError } from '@ambient-lab/std'
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
const RUNS = { numRuns: 500, seed: 7 }

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

  it('are refused with a code, or compiled, whatever came over the wire', () => {
    const damaged = fc
      .tuple(policies, fc.nat(), fc.anything())
      .map(([sources, at, value]) => damage(sources, at, value))
    fc.assert(
      fc.property(damaged, requests, (sources, facts) => {
        let compiled: HttpPolicies
        try {
          compiled = new HttpPolicies(sources)
        } catch (error) {
          expect(CodedError.is(error, 'INVALID_POLICY')).toBe(true)
          return
        }
        expect(typeof evaluateRequest(facts, compiled).allowed).toBe('boolean')
      }),
      { ...RUNS, numRuns: 1000 },
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

/** The policies with something else in one place, wherever that is. */
function damage(sources: readonly HttpAuthorization[], at: number, value: unknown): readonly HttpAuthorization[] {
  const copy: unknown = structuredClone(sources)
  const places: [holder: Record<string, unknown>, key: string][] = []
  const visit = (part: unknown) => {
    if (typeof part !== 'object' || part === null) return
    for (const key of Object.keys(part)) {
      places.push([part as Record<string, unknown>, key])
      visit((part as Record<string, unknown>)[key])
    }
  }
  visit(copy)
  const place = places[at % Math.max(1, places.length)]
  if (place) place[0][place[1]] = value
  return copy as readonly HttpAuthorization[]
}
