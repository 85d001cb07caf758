import type { PathReview } from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import { auditedBy, formatReview, parseTarget } from './path-review.ts'

describe('parseTarget', () => {
  it.each([
    ['svc/pay', undefined, { kind: 'Service', name: 'pay', namespace: 'shop' }, undefined],
    ['svc/pay', 8080, { kind: 'Service', name: 'pay', namespace: 'shop', port: 8080 }, undefined],
    ['pod/pay-1', undefined, { kind: 'Pod', name: 'pay-1', namespace: 'shop' }, undefined],
    ['pay', undefined, { kind: 'Service', name: 'pay', namespace: 'shop' }, undefined],
    ['pay:8080', undefined, { host: 'pay', port: 8080 }, undefined],
    ['pay:80', undefined, { host: 'pay', port: 80 }, undefined],
    ['pay.other', 80, { host: 'pay.other', port: 80 }, undefined],
    ['10.244.1.5:9080', undefined, { host: '10.244.1.5', port: 9080 }, undefined],
    ['[fd00::1]:80', undefined, { host: 'fd00::1', port: 80 }, undefined],
    ['http://pay/charge?x=1', undefined, { host: 'pay', port: 80 }, '/charge?x=1'],
    ['https://pay', undefined, { host: 'pay', port: 443 }, undefined],
  ])('%s with port %s', (text, port, target, path) => {
    expect(parseTarget(text, 'shop', port)).toEqual({ target, request: path === undefined ? {} : { path } })
  })

  it.each(['', '://', 'pay.other', 'a b'])('refuses %j', (text) => {
    expect(() => parseTarget(text, 'shop', undefined)).toThrow(/is no target|has no port/)
  })
})

describe('formatReview', () => {
  const ok = { point: 'capture', at: 'ztunnel n1', verdict: 'ok', saw: 'curl', reason: 'captured by the mesh' } as const

  it('says yes with the way', () => {
    const status = { allowed: true, summary: 'curl may reach pay', checkpoints: [ok] }
    expect(formatReview(reviewOf(status))).toBe(
      'ALLOWED  curl may reach pay\n  1  ztunnel n1  capture  captured by the mesh  ok\n',
    )
  })

  it('says no with what was compared where it was refused', () => {
    const fields = [{ rule: 0, field: 'from.source.principals', wanted: ['a', 'b'], got: 'c', held: false }]
    const policy = { policy: 'shop/pay', action: 'ALLOW', dryRun: false, matched: false, fields }
    const deny = { ...ok, point: 'allow', at: 'ztunnel n2', verdict: 'denied', reason: 'none allowed' } as const
    const status = {
      allowed: false,
      summary: 'refused at ztunnel n2: none allowed',
      responseFlags: 'DENY',
      checkpoints: [ok, { ...deny, policies: [policy] }],
    }
    expect(formatReview(reviewOf(status)).split('\n')).toEqual([
      'DENIED  DENY  refused at ztunnel n2: none allowed',
      '  1  ztunnel n1  capture  captured by the mesh  ok',
      '  2  ztunnel n2  allow    none allowed          NO',
      '',
      'shop/pay  ALLOW',
      '  rule 0  from.source.principals  want a, b  got c  x',
      '',
    ])
  })
})

describe('formatReview of a request', () => {
  const past = {
    ...{ at: '2026-11-26T05:33:43.736Z', by: 'waypoint shop/wp on n2', source: 'curl-1.shop', method: 'POST' },
    ...{
      host: 'pay',
      path: '/charge',
      httpStatus: 403,
      responseFlags: '-',
      details: 'rbac_access_denied',
      changed: false,
    },
  }
  const status = { allowed: true, summary: 'POST /charge of curl-1.shop may reach pay', checkpoints: [] }
  const head = 'ALLOWED  POST /charge of curl-1.shop may reach pay'
  const sent = 'POST /charge of curl-1.shop to pay at waypoint shop/wp on n2, 2026-11-26T05:33:43.736Z'

  it.each([
    ['a refusal', past, [`then  403 rbac_access_denied  ${sent}`]],
    [
      'a refusal by something that is no policy',
      { ...past, httpStatus: 429, responseFlags: 'RL', details: 'request_rate_limited', hint: 'too many' },
      [`then  429 RL request_rate_limited  ${sent}`, '      too many'],
    ],
    [
      'what would end otherwise now',
      { ...past, changed: true },
      [`then  403 rbac_access_denied  ${sent}`, '      what decides has changed since: now it ends as said above'],
    ],
    ['what is not answered yet', { ...past, httpStatus: undefined, details: '' }, [`then  no answer yet  ${sent}`]],
    [
      'what would have a terminal obey',
      { ...past, host: 'pay\u001b[2J' },
      [`then  403 rbac_access_denied  ${sent.replace('pay', 'pay\\x1b[2J')}`],
    ],
  ])('says how it ended: %s', (_, ended, lines) => {
    const { httpStatus, ...rest } = ended
    const text = formatReview(
      reviewOf({ ...status, past: { ...rest, ...(httpStatus !== undefined && { httpStatus }) } }),
    )
    expect(text.split('\n')).toEqual([head, ...lines, ''])
  })
})

describe('auditedBy', () => {
  const audit = { point: 'audit', at: 'waypoint shop/wp', verdict: 'ok', saw: '', reason: '' } as const
  const of = (policy: string, matched: boolean) => ({ policy, matched, action: 'AUDIT', dryRun: false, fields: [] })

  it.each([
    ['those that match', [{ ...audit, policies: [of('shop/a', false), of('shop/b', true)] }], ['shop/b']],
    ['none where none does', [{ ...audit, verdict: 'skipped' as const, policies: [of('shop/a', false)] }], []],
    ['none where there is no waypoint', [], []],
  ])('names %s', (_, checkpoints, names) => {
    expect(auditedBy({ allowed: true, summary: '', checkpoints })).toEqual(names)
  })
})

function reviewOf(status: PathReview['status'] & {}): PathReview {
  return {
    apiVersion: 'ambient.lab/v1',
    kind: 'PathReview',
    metadata: { name: 'x' },
    spec: { source: { name: 'curl' }, target: { host: 'pay', port: 80 } },
    status,
  }
}
