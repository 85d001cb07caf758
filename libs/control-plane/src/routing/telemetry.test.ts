import type { Telemetry, TelemetrySpec } from '@ambient-lab/api'
import { STANDARD_METRICS } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { MESH_CONFIG_DEFAULT } from '../mesh-config.ts'
import { telemetryOf } from './telemetry.ts'

const OTLP = { name: 'otlp', opentelemetry: { service: 'collector.default.svc.cluster.local', port: 4318 } }
const view = { mesh: { ...MESH_CONFIG_DEFAULT, extensionProviders: [OTLP] } }

/** Of the mesh, of the namespace, of the workload. */
function both(...specs: readonly TelemetrySpec[]) {
  const all = specs.map(
    (spec): Telemetry => ({
      apiVersion: 'telemetry.istio.io/v1',
      kind: 'Telemetry',
      metadata: { name: 't', namespace: 'default' },
      spec,
    }),
  )
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

describe('spans', () => {
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
  type Overrides = NonNullable<NonNullable<TelemetrySpec['metrics']>[number]['overrides']>
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
