import { BugError } from '@ambient-lab/std'
import { describe, expect, test } from 'vitest'
import { SERIES_MAX } from './limits.ts'
import { MetricsRegistry } from './metrics.ts'

describe('metrics', () => {
  test('are written as Prometheus reads them, sorted by name', () => {
    const registry = new MetricsRegistry()
    const opened = registry.counter({
      name: 'istio_tcp_connections_opened_total',
      help: 'Opened.',
      labels: ['reporter', 'flags'],
    })
    const open = registry.gauge({ name: 'istio_tcp_sockets_open', help: 'Open\nnow \\o/.', labels: [] })
    opened.labels({ reporter: 'source', flags: '-' }).inc()
    opened.labels({ reporter: 'source', flags: '-' }).inc(2)
    opened.labels({ flags: 'UH', reporter: 'destination' }).inc()
    open.labels({}).set(3)
    open.labels({}).inc()
    open.labels({}).dec(2)
    expect(registry.expose()).toBe(
      [
        '# HELP istio_tcp_connections_opened_total Opened.',
        '# TYPE istio_tcp_connections_opened_total counter',
        'istio_tcp_connections_opened_total{reporter="source",flags="-"} 3',
        'istio_tcp_connections_opened_total{reporter="destination",flags="UH"} 1',
        '# HELP istio_tcp_sockets_open Open\\nnow \\\\o/.',
        '# TYPE istio_tcp_sockets_open gauge',
        'istio_tcp_sockets_open 2',
        '',
      ].join('\n'),
    )
  })

  test('count distributions in cumulative buckets, upper bounds included', () => {
    const registry = new MetricsRegistry()
    const family = registry.histogram({ name: 'seconds', help: 'Duration.', labels: ['type'], buckets: [0.1, 1] })
    for (const value of [0.05, 0.1, 0.5, 1, 7]) family.labels({ type: 'A' }).observe(value)
    expect(registry.expose().split('\n').slice(2, -1)).toEqual([
      'seconds_bucket{type="A",le="0.1"} 2',
      'seconds_bucket{type="A",le="1"} 4',
      'seconds_bucket{type="A",le="+Inf"} 5',
      'seconds_sum{type="A"} 8.65',
      'seconds_count{type="A"} 5',
    ])
  })

  test('escape label values', () => {
    const registry = new MetricsRegistry()
    registry
      .gauge({ name: 'g', help: '', labels: ['a'] })
      .labels({ a: 'x"y\\z\nend' })
      .set(Number.POSITIVE_INFINITY)
    expect(registry.expose()).toContain('g{a="x\\"y\\\\z\\nend"} +Inf\n')
  })

  test('have series with other labels beside their own', () => {
    const registry = new MetricsRegistry()
    const family = registry.counter({ name: 'c_total', help: 'C.', labels: ['a', 'b'] })
    family.labels({ a: '1', b: '2' }).inc()
    family.relabelled([['a', '1']]).inc(2)
    family
      .relabelled([
        ['a', '1'],
        ['host', 'x"y'],
      ])
      .inc(3)
    // Other labels may turn out to be the family's own: the same series, whoever comes first.
    const own = [
      ['a', '1'],
      ['b', '2'],
    ] as const
    family.relabelled(own).inc(4)
    family
      .relabelled([
        ['a', '3'],
        ['b', '4'],
      ])
      .inc(5)
    family.labels({ a: '3', b: '4' }).inc(6)
    expect(registry.expose().split('\n').slice(2, -1)).toEqual([
      'c_total{a="1",b="2"} 5',
      'c_total{a="1"} 2',
      'c_total{a="1",host="x\\"y"} 3',
      'c_total{a="3",b="4"} 11',
    ])
    expect(() => family.relabelled([['x-y', '']])).toThrow(BugError)
  })

  test('bound the series with other labels together with their own', () => {
    const registry = new MetricsRegistry()
    const family = registry.counter({ name: 'c_total', help: 'C.', labels: ['a'] })
    for (let index = 0; index < SERIES_MAX + 5; index += 1) family.relabelled([['b', String(index)]]).inc()
    family.labels({ a: 'late' }).inc()
    expect([...family.series()].length).toBe(SERIES_MAX + 1)
    expect(registry.expose()).toContain('c_total{a="overflow"} 6\n')
  })

  test('ask for the buckets of a series when it begins', () => {
    const registry = new MetricsRegistry()
    let buckets = [1]
    const family = registry.histogram({ name: 'h', help: 'H.', labels: ['a'], buckets: () => buckets })
    family.labels({ a: '1' }).observe(2)
    buckets = [3]
    family.labels({ a: '1' }).observe(2)
    family.labels({ a: '2' }).observe(2)
    expect(registry.expose().match(/le="[^"]*"\} \d/g)).toEqual([
      'le="1"} 0',
      'le="+Inf"} 2',
      'le="3"} 1',
      'le="+Inf"} 1',
    ])
  })

  test('give one handle for one combination, until it is removed', () => {
    const registry = new MetricsRegistry()
    const family = registry.counter({ name: 'c_total', help: 'C.', labels: ['a', 'b'] })
    const handle = family.labels({ a: '1', b: '2' })
    expect(family.labels({ b: '2', a: '1' })).toBe(handle)
    expect(family.labels({ a: '12', b: '' })).not.toBe(family.labels({ a: '1', b: '2' }))
    family.remove({ a: '1', b: '2' })
    handle.inc()
    expect(registry.expose()).not.toContain('a="1",b="2"')
  })

  test('count together whatever comes beyond the bound', () => {
    const registry = new MetricsRegistry()
    const family = registry.counter({ name: 'c_total', help: 'C.', labels: ['host'] })
    for (let index = 0; index < SERIES_MAX + 10; index += 1) family.labels({ host: `h${index}` }).inc()
    expect(registry.expose()).toContain('c_total{host="overflow"} 10\n')
    expect(registry.expose().split('\n')).toHaveLength(SERIES_MAX + 4)
  })

  test('ask for state just before they are written', () => {
    const registry = new MetricsRegistry()
    const gauge = registry.gauge({ name: 'g', help: 'G.', labels: [] }).labels({})
    let size = 0
    registry.onCollect(() => gauge.set(size))
    size = 7
    expect(registry.expose()).toContain('g 7\n')
  })

  test.each([
    [
      'a name twice',
      (registry: MetricsRegistry) => [1, 2].map(() => registry.gauge({ name: 'g', help: '', labels: [] })),
    ],
    ['a name that is none', (registry: MetricsRegistry) => registry.gauge({ name: 'g-1', help: '', labels: [] })],
    ['a label that is none', (registry: MetricsRegistry) => registry.gauge({ name: 'g', help: '', labels: ['a.b'] })],
    [
      'buckets that fall',
      (registry: MetricsRegistry) => registry.histogram({ name: 'h', help: '', labels: [], buckets: [2, 1] }),
    ],
  ])('with %s are a bug', (_, define) => {
    expect(() => define(new MetricsRegistry())).toThrow(BugError)
  })
})
