import type { JwtRule, RequestAuthentication } from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import { translateJwtRequirement } from './jwt-requirement.ts'

function authentication(...jwtRules: JwtRule[]): RequestAuthentication {
  const metadata = { name: 'r', namespace: 'foo' }
  return { apiVersion: 'security.istio.io/v1', kind: 'RequestAuthentication', metadata, spec: { jwtRules } }
}

describe('translateJwtRequirement', () => {
  it('has nothing to say without rules', () => {
    expect(translateJwtRequirement([])).toBeUndefined()
    expect(translateJwtRequirement([authentication()])).toBeUndefined()
  })

  it('fills in what a rule leaves out', () => {
    expect(translateJwtRequirement([authentication({ issuer: 'https://i' })])).toEqual({
      providers: [
        {
          name: 'origins-0',
          issuer: 'https://i',
          audiences: [],
          keys: { discovery: 'https://i' },
          keysTimeoutMs: 5000,
          from: { headers: [], params: [], cookies: [] },
          forwardOriginalToken: false,
          outputClaimToHeaders: [],
          spaceDelimitedClaims: [],
        },
      ],
    })
  })

  it('numbers the rules of all policies', () => {
    const requirement = translateJwtRequirement([
      authentication({ issuer: 'a' }, { issuer: 'b' }),
      authentication({ issuer: 'c' }),
    ])
    expect(requirement?.providers.map(({ name, issuer }) => [name, issuer])).toEqual([
      ['origins-0', 'a'],
      ['origins-1', 'b'],
      ['origins-2', 'c'],
    ])
  })

  it.each<[JwtRule, object]>([
    [{ jwks: '{"keys":[]}' }, { keys: { inline: '{"keys":[]}' } }],
    [{ jwksUri: 'https://k' }, { keys: { uri: 'https://k' } }],
    [{ jwks_uri: 'https://k' }, { keys: { uri: 'https://k' } }],
    [{ timeout: '10ms' }, { keysTimeoutMs: 10 }],
    [
      { fromHeaders: [{ name: 'X', prefix: 'P ' }, { name: 'Y' }] },
      {
        from: {
          headers: [
            { name: 'X', prefix: 'P ' },
            { name: 'Y', prefix: '' },
          ],
        },
      },
    ],
    [{ fromParams: ['t'], fromCookies: ['c'] }, { from: { headers: [], params: ['t'], cookies: ['c'] } }],
    [
      { outputPayloadToHeader: 'x-p', forwardOriginalToken: true },
      { outputPayloadToHeader: 'x-p', forwardOriginalToken: true },
    ],
  ])('%j', (rule, provider) => {
    expect(translateJwtRequirement([authentication({ issuer: 'i', ...rule })])?.providers[0]).toMatchObject(provider)
  })
})
