import { VirtualClock } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { SPANS_QUEUED_MAX } from './limits.ts'
import { OtlpSpanExporter, otlpRequest, SPAN_KIND, type Span } from './otlp-spans.ts'

const span = (fields: Partial<Span> = {}): Span => ({
  ...{ service: 'curl.default', traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), parentSpanId: '', name: 'outbound x' },
  ...{ kind: SPAN_KIND.client, startedAtMs: 1_000.5, durationMs: 2.25, attributes: { a: '1', b: '' }, isError: false },
  ...fields,
})

describe('spans', () => {
  it('are grouped by service, in nanoseconds, without what is empty', () => {
    const body = otlpRequest([span(), span({ service: 'echo.default', parentSpanId: 'c'.repeat(16), isError: true })])
    expect(body).toEqual({
      resourceSpans: ['curl.default', 'echo.default'].map((service, index) => ({
        resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
        scopeSpans: [
          {
            scope: { name: 'ambient-lab' },
            spans: [
              {
                ...{ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), name: 'outbound x', kind: 3 },
                ...(index === 1 && { parentSpanId: 'c'.repeat(16) }),
                ...{ startTimeUnixNano: '1000500000', endTimeUnixNano: '1002750000' },
                attributes: [{ key: 'a', value: { stringValue: '1' } }],
                status: index === 1 ? { code: 2 } : {},
              },
            ],
          },
        ],
      })),
    })
  })

  it('are sent together every second, once, and counted when nobody takes them', async () => {
    const clock = new VirtualClock()
    const sent: string[] = []
    let fails = false
    const post = async (endpoint: string, body: string) => {
      if (fails) throw new Error('no collector')
      sent.push(`${endpoint} ${body.split('"traceId"').length - 1}`)
    }
    using exporter = new OtlpSpanExporter({ clock, post }, 'http://collector/v1/traces')
    for (let count = 0; count < 3; count += 1) exporter.add(span())
    await clock.advance(2_500)
    expect(sent).toEqual(['http://collector/v1/traces 3'])
    fails = true
    exporter.add(span())
    await clock.advance(1_000)
    expect([sent.length, exporter.dropped]).toEqual([1, 1])
    for (let count = 0; count < SPANS_QUEUED_MAX + 5; count += 1) exporter.add(span())
    expect(exporter.dropped).toBe(6)
  })
})
