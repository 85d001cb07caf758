import { MetricsRegistry } from '@ambient-lab/telemetry'
import type { TagOverrides } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { HeaderMap } from '../http1/index.ts'
import { TAG_VALUE_LENGTH_MAX } from './limits.ts'
import { type Known, recordWith } from './request-record.conformance.ts'
import { TagRewriting } from './tag-rewriting.ts'

const LABELS = ['reporter', 'source_app', 'response_code'] as const
const OWN = { reporter: 'waypoint', source_app: 'curl', response_code: '200' } as const

function labelsOf(overrides: TagOverrides, known: Known = {}): string | undefined {
  const family = new MetricsRegistry().counter({ name: 'c_total', help: '', labels: LABELS })
  const tags = TagRewriting.compile(overrides)!
  tags.handle(family, 'REQUEST_COUNT', OWN, tags.evaluate(recordWith(known))).inc()
  return [...family.series()][0]?.[0]
}

describe('labels', () => {
  it.each<[title: string, tags: Readonly<Record<string, string | null>>, labels: string]>([
    [
      'one is added',
      { request_host: 'request.host' },
      'reporter="waypoint",source_app="curl",response_code="200",request_host="web"',
    ],
    [
      'several, by their names',
      { b: "'2'", a: "'1'" },
      'reporter="waypoint",source_app="curl",response_code="200",a="1",b="2"',
    ],
    [
      'one is replaced in its place',
      { source_app: 'request.method' },
      'reporter="waypoint",source_app="GET",response_code="200"',
    ],
    ['one is left out', { source_app: null }, 'reporter="waypoint",response_code="200"'],
    ['all are', { reporter: null, source_app: null, response_code: null }, ''],
    [
      'what fails is unknown',
      { x: "request.headers['x']" },
      'reporter="waypoint",source_app="curl",response_code="200",x="unknown"',
    ],
    [
      'what is no expression is not added',
      { x: "a | 'b'" },
      'reporter="waypoint",source_app="curl",response_code="200"',
    ],
    ['and takes a standard one with it', { source_app: "a | 'b'" }, 'reporter="waypoint",response_code="200"'],
    ['only standard ones are removed', { x: null }, 'reporter="waypoint",source_app="curl",response_code="200"'],
    [
      'a standard one that the metric has not',
      { request_protocol: "'x'" },
      'reporter="waypoint",source_app="curl",response_code="200"',
    ],
    [
      'names become Prometheus’',
      { 'x-y.z': "'1'", '9': "'2'" },
      'reporter="waypoint",source_app="curl",response_code="200",_9="2",x_y_z="1"',
    ],
    [
      'and are never those of standard ones',
      { 'source-app': "'x'" },
      'reporter="waypoint",source_app="curl",response_code="200"',
    ],
  ])('%s', (_, tags, labels) => {
    expect(labelsOf({ REQUEST_COUNT: tags })).toBe(labels)
  })

  it('are Istio’s for other metrics', () => {
    expect(labelsOf({ RESPONSE_SIZE: { source_app: null } })).toBe(
      'reporter="waypoint",source_app="curl",response_code="200"',
    )
  })

  it('have values of bounded length', () => {
    const requestHeaders = new HeaderMap([['x', 'y'.repeat(5000)]])
    const overrides = {
      REQUEST_COUNT: { reporter: null, source_app: null, response_code: null, x: 'request.headers.x' },
    }
    expect(labelsOf(overrides, { requestHeaders })).toBe(`x="${'y'.repeat(TAG_VALUE_LENGTH_MAX)}"`)
  })

  it('need nothing where nothing is overridden', () => {
    expect(TagRewriting.compile(undefined)).toBeUndefined()
    expect(TagRewriting.compile({})).toBeUndefined()
  })
})
