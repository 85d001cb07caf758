import type { Connection, PathReview } from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import { formatReview, parseTarget, wayOf } from './path-review.ts'

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

describe('wayOf', () => {
  const half = (id: string, direction: 'inbound' | 'outbound', workload: string, address: string): Connection =>
    ({
      ...{ apiVersion: 'ambient.lab/v1', kind: 'Connection', metadata: { name: id } },
      spec: { traceId: 't', direction, source: { workload, namespace: 'shop', address: '' }, destination: { address } },
    }) as Connection

  it('knows from either half who dialled what', () => {
    const halves = [half('n2-1', 'inbound', 'wp', '10.244.2.5:8080'), half('n1-7', 'outbound', 'curl', '10.96.0.5:80')]
    const way = { source: { name: 'curl', namespace: 'shop' }, target: { host: '10.96.0.5', port: 80 } }
    expect(wayOf('n2-1', halves)).toEqual(way)
    expect(wayOf('n1-7', halves)).toEqual(way)
  })

  it('takes the only half of plaintext from outside the mesh', () => {
    expect(wayOf('n2-1', [half('n2-1', 'inbound', 'old', '[fd00::5]:8080')])).toEqual({
      source: { name: 'old', namespace: 'shop' },
      target: { host: 'fd00::5', port: 8080 },
    })
  })

  it.each([
    ['n9-9', /there is no connection n9-9/],
    ['n2-1', /is no workload of the lab/],
  ])('refuses %s', (id, message) => {
    expect(() => wayOf(id, [half('n2-1', 'inbound', '', '10.244.2.5:8080')])).toThrow(message)
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
