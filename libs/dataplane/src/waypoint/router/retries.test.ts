import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { RetryConditions, retryDelayMs, type TryOutcome } from './retries.ts'
import { parseGrpcTimeout, timeoutsOf } from './timeouts.ts'

const response = (status: number, headers: Record<string, string> = {}): TryOutcome => ({
  kind: 'response',
  status,
  headers: { getJoined: (name) => headers[name] },
})
const reset = (reason: Extract<TryOutcome, { kind: 'reset' }>['reason'], requestSent = false): TryOutcome => ({
  kind: 'reset',
  reason,
  requestSent,
})
const ISTIO = ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes']

describe('retry conditions', () => {
  it.each<[string, string[], number[], TryOutcome, boolean]>([
    ['Istio: a plain 503 stands', ISTIO, [], response(503), false],
    ['Istio: a code that is listed', ISTIO, [503], response(503), true],
    ['Istio: connection failure', ISTIO, [], reset('remote connection failure'), true],
    ['Istio: connect timeout', ISTIO, [], reset('connection timeout'), true],
    ['Istio: hung up after the request', ISTIO, [], reset('connection termination', true), false],
    ['Istio: refused stream', ISTIO, [], reset('remote refused stream reset'), true],
    ['Istio: gRPC unavailable', ISTIO, [], response(200, { 'grpc-status': '14' }), true],
    ['Istio: gRPC not found', ISTIO, [], response(200, { 'grpc-status': '5' }), false],
    ['5xx: 500', ['5xx'], [], response(500), true],
    ['5xx: 499', ['5xx'], [], response(499), false],
    ['5xx: any reset', ['5xx'], [], reset('connection termination', true), true],
    ['5xx: per-try timeout', ['5xx'], [], { kind: 'per-try-timeout' }, true],
    ['connect-failure: per-try timeout', ['connect-failure'], [], { kind: 'per-try-timeout' }, false],
    ['gateway-error: 502', ['gateway-error'], [], response(502), true],
    ['gateway-error: 500', ['gateway-error'], [], response(500), false],
    ['reset', ['reset'], [], reset('connection termination', true), true],
    ['reset-before-request: not sent', ['reset-before-request'], [], reset('connection termination', false), true],
    ['reset-before-request: sent', ['reset-before-request'], [], reset('connection termination', true), false],
    ['retriable-4xx: 409', ['retriable-4xx'], [], response(409), true],
    ['retriable-4xx: 404', ['retriable-4xx'], [], response(404), false],
    ['codes without the word', [], [503], response(503), false],
    ['overflow never', ['5xx', 'reset', 'connect-failure'], [], reset('overflow'), false],
    ['rate limited: not by code', ['5xx'], [], response(503, { 'x-envoy-ratelimited': 'true' }), false],
    ['rate limited: by its word', ['envoy-ratelimited'], [], response(429, { 'x-envoy-ratelimited': 'true' }), true],
    ['nothing', [], [], reset('connection failure'), false],
  ])('%s', (_title, on, statusCodes, outcome, expected) => {
    expect(new RetryConditions({ on, statusCodes }).allow(outcome)).toBe(expected)
  })
})

it('retries wait below a ceiling that doubles', () => {
  const random = new SeededRandom(1)
  const policy = { backoffBaseMs: 25, backoffMaxMs: 250 }
  for (const [retry, ceilingMs] of [
    [1, 25],
    [2, 75],
    [3, 175],
    [4, 250],
    [40, 250],
  ] as const) {
    const draws = Array.from({ length: 200 }, () => retryDelayMs(policy, retry, random))
    expect(Math.max(...draws)).toBeLessThan(ceilingMs)
    expect(Math.max(...draws)).toBeGreaterThan(ceilingMs * 0.9)
    expect(Math.min(...draws)).toBeLessThan(ceilingMs * 0.1)
  }
})

describe('timeouts', () => {
  const headers = (grpcTimeout?: string) => ({
    getJoined: (name: string) => (name === 'grpc-timeout' ? grpcTimeout : undefined),
  })
  const retry = { attempts: 1, on: [], statusCodes: [], backoffBaseMs: 1, backoffMaxMs: 1, avoidPreviousHostsDraws: 0 }
  it.each([
    ['none', { backends: [] }, undefined, undefined, undefined],
    ['0 is none', { backends: [], timeoutMs: 0 }, undefined, undefined, undefined],
    ['the route', { backends: [], timeoutMs: 500 }, undefined, 500, undefined],
    ['gRPC asks for less', { backends: [], timeoutMs: 500 }, '100m', 100, undefined],
    ['gRPC asks for more', { backends: [], timeoutMs: 500 }, '1S', 500, undefined],
    ['gRPC alone', { backends: [] }, '1S', 1000, undefined],
    ['per try', { backends: [], timeoutMs: 500, retry: { ...retry, perTryTimeoutMs: 100 } }, undefined, 500, 100],
    [
      'per try, longer',
      { backends: [], timeoutMs: 500, retry: { ...retry, perTryTimeoutMs: 500 } },
      undefined,
      500,
      undefined,
    ],
    ['per try alone', { backends: [], retry: { ...retry, perTryTimeoutMs: 50 } }, undefined, undefined, 50],
  ])('%s', (_title, forward, grpcTimeout, overallMs, perTryMs) => {
    expect(timeoutsOf(forward, headers(grpcTimeout))).toEqual({ overallMs, perTryMs })
  })

  it.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['4m', 4],
    ['1500u', 2],
    ['1n', 1],
    ['123456789S', undefined],
    ['1', undefined],
    ['-1S', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('grpc-timeout %s is %s ms', (text, expected) => {
    expect(parseGrpcTimeout(text)).toBe(expected)
  })
})
