import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { childOf, formatTraceparent, newTraceContext, parseTraceparent } from './trace-context.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'

describe('traceparent', () => {
  test.each([
    [`00-${TRACE}-${SPAN}-01`, 1],
    [`00-${TRACE}-${SPAN}-00`, 0],
    [` \t00-${TRACE}-${SPAN}-03\t `, 3],
    [`cc-${TRACE}-${SPAN}-01`, 1],
    [`cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, 1],
    [`cc-${TRACE}-${SPAN}-01-`, 1],
  ])('%j is read', (text, flags) => {
    expect(parseTraceparent(text)).toEqual({ traceId: TRACE, spanId: SPAN, flags })
  })

  test.each([
    '',
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}-001`,
    `00-${TRACE}-${SPAN}-01-extra`,
    `00-${TRACE}-${SPAN}-01.`,
    `cc-${TRACE}-${SPAN}-01.what`,
    `ff-${TRACE}-${SPAN}-01`,
    `0-${TRACE}-${SPAN}-01`,
    `000-${TRACE}-${SPAN}-01`,
    `.0-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}0-${SPAN}-01`,
    `00-${TRACE.slice(1)}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-.${SPAN.slice(1)}-01`,
    `00-${TRACE}-${SPAN}-.0`,
    `00-${TRACE}-${SPAN}-01\n`,
    `cc-${TRACE}-${SPAN}-01-${'x'.repeat(300)}`,
  ])('%j is refused', (text) => {
    expect(parseTraceparent(text)).toBeUndefined()
  })

  test('is passed on as version 00 with the flags that it knows', () => {
    expect(formatTraceparent({ traceId: TRACE, spanId: SPAN, flags: 0xff })).toBe(`00-${TRACE}-${SPAN}-03`)
  })

  test('starts anew unsampled, and goes on in the same trace', () => {
    const start = newTraceContext(randomBytes)
    const next = childOf(start, randomBytes)
    expect(parseTraceparent(formatTraceparent(start))).toEqual({ ...start, flags: 0 })
    expect(next.traceId).toBe(start.traceId)
    expect(next.spanId).not.toBe(start.spanId)
  })

  test('has no id of zeros even from a source of zeros', () => {
    expect(parseTraceparent(formatTraceparent(newTraceContext((count) => new Uint8Array(count))))).toBeDefined()
  })

  test('never throws, and what it reads it writes in a form that reads the same', () => {
    const digit = fc.constantFrom(...'0123456789abcdefF-. ')
    const near = fc
      .tuple(
        fc.constantFrom('00', '01', 'ff', 'zz'),
        fc.constantFrom(TRACE, '0'.repeat(32)),
        fc.string({ unit: digit, maxLength: 40 }),
      )
      .map((parts) => parts.join('-'))
    fc.assert(
      fc.property(fc.oneof(fc.string(), near, fc.string({ unit: digit, maxLength: 60 })), (text) => {
        const context = parseTraceparent(text)
        if (context)
          expect(parseTraceparent(formatTraceparent(context))).toEqual({ ...context, flags: context.flags & 3 })
      }),
      { numRuns: 2000, seed: 11 },
    )
  })
})
