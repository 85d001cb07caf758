import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, test } from 'vitest'
import { HeaderMap } from '../http1/index.ts'
import { Tracing } from './tracing.ts'

const TRACE = '12345678901234567890123456789012'
const PARENT = '1234567890123456'

function propagated(entries: readonly (readonly [string, string])[]) {
  const config = { endpoint: '', randomSamplingPercent: 0, customTags: {} }
  const headers = new HeaderMap(entries)
  const span = new Tracing({ random: new SeededRandom(1) }, config).propagate(headers)
  return { span, headers }
}

describe('a waypoint in a trace', () => {
  test.each(['00', '01', '02', '03'])('the flags %s go on', (flags) => {
    const { span, headers } = propagated([['traceparent', `00-${TRACE}-${PARENT}-${flags}`]])
    expect(headers.get('traceparent')).toBe(`00-${TRACE}-${span.spanId}-${flags}`)
    expect(span).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, isSampled: flags === '01' || flags === '03' })
  })

  test('the state goes on in one line', () => {
    const lines = [
      ['traceparent', `00-${TRACE}-${PARENT}-00`],
      ['tracestate', 'foo=1,'],
      ['tracestate', 'bar=2'],
    ] as const
    expect(propagated(lines).headers.getAll('tracestate')).toEqual(['foo=1,bar=2'])
  })

  test.each([
    ['of a trace that begins here', [['tracestate', 'foo=1']]],
    [
      'that is wrong',
      [
        ['traceparent', `00-${TRACE}-${PARENT}-00`],
        ['tracestate', '@foo=1'],
      ],
    ],
  ] as const)('a state %s ends here', (_, lines) => {
    expect(propagated(lines).headers.has('tracestate')).toBe(false)
  })

  test('two parents are none', () => {
    const parent = ['traceparent', `00-${TRACE}-${PARENT}-00`] as const
    const { span, headers } = propagated([parent, parent])
    expect(span.parentSpanId).toBe('')
    expect(headers.getAll('traceparent')).toHaveLength(1)
  })
})
