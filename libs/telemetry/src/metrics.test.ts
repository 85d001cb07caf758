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
