import type { Telemetry, TelemetrySpec } from '@ambient-lab/api'
import { STANDARD_METRICS } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { MESH_CONFIG_DEFAULT } from '../mesh-config.ts'
import { telemetryOf } from './telemetry.ts'

type Overrides = NonNullable<NonNullable<TelemetrySpec['metrics']>[number]['overrides']>
const OTLP = { name: 'otlp', opentelemetry: { service: 'collector.default.svc.cluster.local', port: 4318 } }
const TEXT = { name: 'text', envoyFileAccessLog: { logFormat: { text: '%REQ(:PATH)%' } } }
const view = { mesh: { ...MESH_CONFIG_DEFAULT, extensionProviders: [OTLP, TEXT] } }

function telemetry(spec: TelemetrySpec): Telemetry {
  const metadata = { name: 't', namespace: 'default' }
  return { apiVersion: 'telemetry.istio.io/v1', kind: 'Telemetry', metadata, spec }
}

/** Of the mesh, of the namespace, of the workload. */
function both(...specs: readonly TelemetrySpec[]) {
  const all = specs.map(telemetry)
  return { client: telemetryOf(all, 'CLIENT', view), server: telemetryOf(all, 'SERVER', view) }
}

type Mode = 'CLIENT' | 'SERVER' | 'CLIENT_AND_SERVER' | undefined
const match = (mode: Mode) => (mode ? { match: { mode } } : {})

describe('the access log', () => {
  it.each<[Mode, boolean, boolean]>([
    [undefined, false, false],
    ['CLIENT_AND_SERVER', false, false],
    ['CLIENT', false, true],
    ['SERVER', true, false],
  ])('switched off for %s', (mode, client, server) => {
    const on: TelemetrySpec = { accessLogging: [{ providers: [{ name: 'envoy' }] }] }
    const found = both(on, { accessLogging: [{ ...match(mode), disabled: true }] })
    expect([found.client.accessLog.enabled, found.server.accessLog.enabled]).toEqual([client, server])
  })
})

describe('the filter of the access log', () => {
  type Logging = NonNullable<TelemetrySpec['accessLogging']>
  const filter = (expression: string) => ({ filter: { expression } })
  const envoy = { providers: [{ name: 'envoy' }] }
  const text = { providers: [{ name: 'text' }] }
  it.each<[string, Logging[], string | undefined, string | undefined]>([
    ['of both sides', [[{ ...envoy, ...filter('a') }]], 'a', 'a'],
    [
      'of each side its own',
      [
        [
          { ...envoy, ...match('CLIENT'), ...filter('a') },
          { ...envoy, ...match('SERVER'), ...filter('b') },
        ],
      ],
      'a',
      'b',
    ],
    ['without a provider', [[filter('a')]], 'a', 'a'],
    [
      'the last of the provider',
      [
        [
          { ...envoy, ...filter('a') },
          { ...envoy, ...filter('b') },
        ],
      ],
      'b',
      'b',
    ],
    ['the last says nothing', [[{ ...envoy, ...filter('a') }, envoy]], undefined, undefined],
    [
      'of the provider that logs',
      [
        [
          { ...envoy, ...filter('a') },
          { ...text, ...filter('b') },
        ],
      ],
      'a',
      'a',
    ],
    ['of another one', [[{ ...text, ...filter('b') }]], 'b', 'b'],
    ['the closest', [[{ ...envoy, ...filter('a') }], [envoy]], undefined, undefined],
    ['of an entry that is switched off', [[envoy, { ...envoy, ...filter('a'), disabled: true }]], undefined, undefined],
  ])('%s', (_, logging, client, server) => {
    const found = both(...logging.map((accessLogging) => ({ accessLogging })))
    expect([found.client.accessLog.filter, found.server.accessLog.filter]).toEqual([client, server])
  })
})

describe('spans', () => {
  type Tags = NonNullable<NonNullable<TelemetrySpec['tracing']>[number]['customTags']>
  it.each<[string, Tags, Record<string, unknown>]>([
    ['a text', { a: { literal: { value: 'x' } } }, { a: 'x' }],
    ['a field', { a: { header: { name: 'X-Team' } } }, { a: { header: 'x-team' } }],
    [
      'a field, or a text',
      { a: { header: { name: 'x-team', defaultValue: 'none' } } },
      { a: { header: 'x-team', defaultValue: 'none' } },
    ],
    ['a variable of the proxy', { a: { environment: { name: 'ZONE', defaultValue: 'none' } } }, { a: 'z1' }],
    ['a variable that is not set', { a: { environment: { name: 'HOME', defaultValue: 'none' } } }, { a: 'none' }],
    ['one without a value', { a: { environment: { name: 'HOME' } } }, {}],
  ])('have tags of their own: %s', (_, customTags, expected) => {
    const spec: TelemetrySpec = { tracing: [{ providers: [{ name: 'otlp' }], customTags }] }
    const [only] = [spec].map(telemetry)
    expect(telemetryOf([only!], 'SERVER', view, { ZONE: 'z1' }).tracing?.customTags).toEqual(expected)
  })

  it('end where nothing is reported, and begin again', () => {
    const on: TelemetrySpec = { tracing: [{ providers: [{ name: 'otlp' }], randomSamplingPercentage: 7 }] }
    const off: TelemetrySpec = { tracing: [{ disableSpanReporting: true }] }
    expect(both(on, off).server.tracing).toBeUndefined()
    expect(both(on, off, { tracing: [{ disableSpanReporting: false }] }).server.tracing?.randomSamplingPercent).toBe(7)
  })

  it.each<[Mode, boolean, boolean]>([
    [undefined, true, true],
    ['CLIENT', true, false],
    ['SERVER', false, true],
  ])('asked for by %s', (mode, client, server) => {
    const found = both({ tracing: [{ ...match(mode), providers: [{ name: 'otlp' }] }] })
    expect([!!found.client.tracing, !!found.server.tracing]).toEqual([client, server])
  })
})

describe('metrics', () => {
  const of = (overrides: Overrides, providers?: string): TelemetrySpec => ({
    metrics: [{ overrides, ...(providers && { providers: [{ name: providers }] }) }],
  })
  const ALL = [...STANDARD_METRICS]
  it.each<[string, TelemetrySpec[], readonly string[] | undefined, readonly string[] | undefined]>([
    ['nothing', [], undefined, undefined],
    [
      'one, of the client',
      [of([{ match: { metric: 'REQUEST_COUNT', mode: 'CLIENT' }, disabled: true }])],
      ['REQUEST_COUNT'],
      undefined,
    ],
    [
      'one, of the server',
      [of([{ match: { metric: 'REQUEST_SIZE', mode: 'SERVER' }, disabled: true }])],
      undefined,
      ['REQUEST_SIZE'],
    ],
    ['one, of both', [of([{ match: { metric: 'REQUEST_SIZE' }, disabled: true }])], ['REQUEST_SIZE'], ['REQUEST_SIZE']],
    ['all, of the server', [of([{ match: { mode: 'SERVER' }, disabled: true }])], undefined, ALL],
    ['all, without a match', [of([{ disabled: true }])], ALL, ALL],
    [
      'all, and closer by one again: its word ends that all are off',
      [of([{ disabled: true }]), of([{ match: { metric: 'REQUEST_COUNT', mode: 'CLIENT' }, disabled: false }])],
      undefined,
      ALL,
    ],
    [
      'the closest counts',
      [
        of([{ match: { metric: 'REQUEST_COUNT' }, disabled: true }]),
        of([{ match: { metric: 'ALL_METRICS', mode: 'SERVER' }, disabled: false }]),
      ],
      ['REQUEST_COUNT'],
      undefined,
    ],
    ['of a provider that is not there', [of([{ disabled: true }], 'stackdriver')], undefined, undefined],
    ['of the one that is', [of([{ disabled: true }], 'prometheus')], ALL, ALL],
    ['a metric of one’s own', [of([{ match: { customMetric: 'mine' }, disabled: true }])], undefined, undefined],
    ['tags only', [of([{ tagOverrides: { a: { operation: 'REMOVE' } } }])], undefined, undefined],
  ])('off: %s', (_, specs, client, server) => {
    const found = both(...specs)
    expect([found.client.disabledMetrics, found.server.disabledMetrics]).toEqual([client, server])
  })
})

describe('tags of metrics', () => {
  const of = (...overrides: Overrides): TelemetrySpec => ({ metrics: [{ overrides }] })
  const count = (mode: Mode, tagOverrides: Overrides[number]['tagOverrides']): Overrides[number] => ({
    match: { metric: 'REQUEST_COUNT', ...(mode && { mode }) },
    tagOverrides: tagOverrides!,
  })
  it.each<[string, TelemetrySpec[], unknown, unknown]>([
    ['none', [of({ disabled: false })], undefined, undefined],
    [
      'one more, of both',
      [of(count(undefined, { a: { value: 'request.host' } }))],
      { REQUEST_COUNT: { a: 'request.host' } },
      { REQUEST_COUNT: { a: 'request.host' } },
    ],
    ['of the client', [of(count('CLIENT', { a: { value: 'x' } }))], { REQUEST_COUNT: { a: 'x' } }, undefined],
    [
      'one less, of the server',
      [of(count('SERVER', { a: { operation: 'REMOVE' } }))],
      undefined,
      { REQUEST_COUNT: { a: null } },
    ],
    [
      'the closest counts, tag by tag',
      [
        of(count('SERVER', { a: { value: 'x' }, b: { value: 'x' } })),
        of(count('SERVER', { b: { operation: 'REMOVE' }, c: { operation: 'UPSERT', value: 'z' } })),
      ],
      undefined,
      { REQUEST_COUNT: { a: 'x', b: null, c: 'z' } },
    ],
    ['without a value', [of(count('SERVER', { a: {} }))], undefined, { REQUEST_COUNT: { a: '' } }],
    [
      'of all metrics',
      [of({ match: { mode: 'SERVER' }, tagOverrides: { a: { value: 'x' } } })],
      undefined,
      Object.fromEntries(STANDARD_METRICS.map((metric) => [metric, { a: 'x' }])),
    ],
    [
      'not heard where all are switched off',
      [of({ match: { metric: 'ALL_METRICS' }, disabled: true, tagOverrides: { a: { value: 'x' } } })],
      undefined,
      undefined,
    ],
    [
      'of a metric of one’s own',
      [of({ match: { customMetric: 'mine' }, tagOverrides: { a: { value: 'x' } } })],
      undefined,
      undefined,
    ],
    [
      'of a provider that is not there',
      [{ metrics: [{ providers: [{ name: 'stackdriver' }], overrides: [count(undefined, { a: { value: 'x' } })] }] }],
      undefined,
      undefined,
    ],
  ])('%s', (_, specs, client, server) => {
    const found = both(...specs)
    expect([found.client.tagOverrides, found.server.tagOverrides]).toEqual([client, server])
  })
})
