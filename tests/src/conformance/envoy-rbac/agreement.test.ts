import { translateHttpAuthorization, translateTcpAuthorization } from '@ambient-lab/control-plane'
import { HttpPolicies } from '@ambient-lab/policy'
import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { compare } from './agreement.ts'
import { rbacFilters } from './istiod.ts'
import { PolicyGenerator } from './policies.ts'
import { RequestGenerator } from './requests.ts'

const POLICY_SETS = 50
const REQUESTS = 40

const MESH = { trustDomain: 'td1', trustDomainAliases: ['foobar'], extensionProviders: [] }
const TRUST_DOMAINS = [MESH.trustDomain, ...MESH.trustDomainAliases]

describe.each(['http', 'tcp'] as const)('policies that nobody wrote, over %s', (protocol) => {
  it.each([1, 2, 3, 4])('decide as the RBAC that istiod would write of them, seed %i', (seed) => {
    const random = new SeededRandom(seed)
    const generator = new PolicyGenerator(random)
    const translate = protocol === 'tcp' ? translateTcpAuthorization : translateHttpAuthorization
    for (let round = 0; round < POLICY_SETS; round += 1) {
      const policies = generator.next()
      const compiled = new HttpPolicies(policies.flatMap((policy) => translate(policy, MESH).authorization ?? []))
      const filters = rbacFilters(policies, { trustDomains: TRUST_DOMAINS, forTcp: protocol === 'tcp' })
      const requests = new RequestGenerator(policies, random)
      for (let asked = 0; asked < REQUESTS; asked += 1) {
        const verdict = compare(requests.next(), protocol, filters, compiled)
        expect(verdict, JSON.stringify(policies)).toEqual({ result: 'passed' })
      }
    }
  })
})
