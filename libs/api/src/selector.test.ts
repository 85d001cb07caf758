import { CodedError } from '@ambient-lab/std'
import { describe, expect, test } from 'vitest'
import {
  formatLabelSelector,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from './selector.ts'

const LABELS = { app: 'web', env: 'test', 'istio.io/rev': 'canary', empty: '' }

describe('label selectors', () => {
  test.each([
    ['', true],
    ['app=web', true],
    ['app==web', true],
    ['app = web', true],
    ['app=api', false],
    ['app!=api', true],
    ['app!=web', false],
    ['missing!=web', true],
    ['env in (dev, test)', true],
    ['env in (dev)', false],
    ['env notin (dev,prod)', true],
    ['env notin (test)', false],
    ['missing notin (test)', true],
    ['app', true],
    ['missing', false],
    ['!missing', true],
    ['!app', false],
    ['empty=', true],
    ['istio.io/rev=canary', true],
    ['app=web,env in (test,dev),!missing', true],
    ['app=web,env in (prod,dev)', false],
  ])('%s → %s', (text, expected) => {
    expect(matchesLabels(parseLabelSelector(text), LABELS)).toBe(expected)
  })

  test.each([',', 'a=b,', 'a in', 'a in b', 'a in (b', 'a in (b c)', '=b', 'a=b=c', '-a', 'a>1', 'a b'])(
    '%s does not parse',
    (text) => {
      expect(() => parseLabelSelector(text)).toThrow(CodedError)
    },
  )

  test('objects without labels', () => {
    expect(matchesLabels({}, undefined)).toBe(true)
    expect(matchesLabels({ matchLabels: { a: 'b' } }, undefined)).toBe(false)
    expect(matchesLabels(parseLabelSelector('toString'), {})).toBe(false)
  })

  test('both parts must hold', () => {
    const selector = { matchLabels: { app: 'web' }, matchExpressions: [{ key: 'env', operator: 'Exists' }] } as const
    expect(matchesLabels(selector, { app: 'web' })).toBe(false)
    expect(formatLabelSelector(selector)).toBe('app=web,env')
    expect(formatLabelSelector({})).toBe('<none>')
  })
})

describe('field selectors', () => {
  const pod = { metadata: { name: 'a' }, spec: { nodeName: 'n1' }, status: {}, count: 2 }

  test.each([
    ['metadata.name=a', true],
    ['metadata.name!=a', false],
    ['spec.nodeName==n1,metadata.name=a', true],
    ['status.phase=', true],
    ['status.phase!=Failed', true],
    ['spec.nodeName.deeper=x', false],
    ['count=2', true],
    ['', true],
  ])('%s → %s', (text, expected) => {
    expect(matchesFields(parseFieldSelector(text), pod)).toBe(expected)
  })

  test.each(['name', 'a=b,', '=x'])('%s does not parse', (text) => {
    expect(() => parseFieldSelector(text)).toThrow(CodedError)
  })
})
