import { CodedError } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { explain } from './explain.ts'

const SHORT = { recursive: false }

describe('explain', () => {
  it.each([
    ['l4trafficpolicy', [/HONOURED BY: +lab/, /Istio’s ztunnel has nothing of it/]],
    ['ap.spec.action', [/ENUM: +ALLOW, DENY, AUDIT, CUSTOM/, /HONOURED BY: +L4 and L7/]],
    ['ap.spec.rules.to.operation', [/methods +\[\]string +L7/, /ports +\[\]string +L4 and L7/]],
    ['l4tp.spec.outlierDetection', [/maxEjectionPercent +integer +lab +default 50/]],
    ['l4tp.spec.targetRefs.kind', [/REQUIRED: +yes/, /ENUM: +Service/]],
    ['gateways.networking.istio.io.spec.servers', [/networking.istio.io\/v1/, /hosts +\[\]string/]],
    ['gateway.spec.listeners', [/gateway.networking.k8s.io\/v1/]],
    ['AM0104', [/DenyWithoutEffect {2}Error/, /DO:/, /waypoint/]],
    ['ist0167', [/IneffectivePolicy {2}Warning/, /The policy has no impact/]],
    ['codes', [/AM0113 +Warning +NotInIstio/, /IST0101 +Error/]],
    ['types', [/l4trafficpolicies.ambient.lab +L4TrafficPolicy +lab/]],
  ])('%s', (what, words) => {
    const text = explain(what, SHORT)
    for (const word of words) expect(text).toMatch(word)
  })

  it('shows every field below with --recursive, and the next ones without', () => {
    expect(explain('l4tp.spec', SHORT)).not.toMatch(/consecutiveConnectFailures/)
    expect(explain('l4tp.spec', { recursive: true })).toMatch(/ {4}consecutiveConnectFailures +integer/)
  })

  it.each([
    ['teapot', 'USAGE', /no type or code "teapot"/, 'ambient explain types'],
    ['l4trafficpolcy', 'USAGE', /did you mean "l4trafficpolicy"/, 'ambient help types'],
    [
      'ap.spec.ruls',
      'NOT_FOUND',
      /AuthorizationPolicy.spec has no field "ruls", did you mean "rules"/,
      'authorizationpolicies.security.istio.io.spec',
    ],
    ['ap.spec.action.deep', 'NOT_FOUND', /described no further/, 'spec.action'],
    ['ap.', 'NOT_FOUND', /no field ""/, 'authorizationpolicies'],
    ['ap.constructor', 'NOT_FOUND', /no field "constructor"/, 'authorizationpolicies'],
    ['AM9999', 'USAGE', /no code AM9999/, 'ambient explain codes'],
    ['ist0176', 'USAGE', /no code IST0176, did you mean "IST01/, 'ambient explain codes'],
  ])('%s is wrong: what, the nearest, the next command', (what, code, words, next) => {
    const error = thrownBy(() => explain(what, SHORT))
    expect(error.code).toBe(code)
    expect(error.message).toMatch(words)
    expect(error.next).toContain(next)
  })
})

function thrownBy(action: () => unknown): CodedError {
  try {
    action()
  } catch (error) {
    if (error instanceof CodedError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
