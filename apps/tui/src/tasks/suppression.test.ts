import { describe, expect, it } from 'vitest'
import { parseSuppression } from './suppression.ts'

const FOUND = {
  code: 'AM0104',
  object: { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', name: 'ledger-deny', namespace: 'shop' },
} as const

describe('-S', () => {
  it.each([
    ['AM0104=AuthorizationPolicy ledger-deny.shop', true],
    ['AM0104=AuthorizationPolicy *.shop', true],
    ['AM0104=*', true],
    ['AM0104=AuthorizationPolicy ledger-deny', false],
    ['AM0104=AuthorizationPolicy ledgerXdeny.shop', false],
    ['AM0104=AuthorizationPolicy .*', false],
    ['AM0105=*', false],
  ])('%s: %s', (text, suppressed) => {
    expect(parseSuppression(text)(FOUND)).toBe(suppressed)
  })

  it.each([
    ['AM0104', /is not CODE=/],
    ['AM0104=', /is not CODE=/],
    ['=Pod a.b', /is not CODE=/],
    ['AM0194=Pod a.b', /no code AM0194, did you mean/],
  ])('%s is refused', (text, words) => {
    expect(() => parseSuppression(text)).toThrow(words)
  })
})
