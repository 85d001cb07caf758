import { KINDS, type Telemetry, type TelemetrySpec } from '@ambient-lab/api'
import { describe, expect, it } from 'vitest'
import { TELEMETRIES } from './stored-kinds.ts'
import { telemetryAdmission } from './telemetry-admission.ts'

function admit(spec: TelemetrySpec, operation: 'create' | 'delete' = 'create') {
  const object: Telemetry = {
    apiVersion: 'telemetry.istio.io/v1',
    kind: 'Telemetry',
    metadata: { name: 't', namespace: 'default' },
    spec,
  }
  const kind = KINDS.find((one) => one.kind === 'Telemetry')!
  const user = { name: 'somebody', groups: [] }
  const request = {
    kind,
    type: TELEMETRIES,
    object,
    old: undefined,
    subresource: undefined,
    user,
    dryRun: false,
  } as const
  return telemetryAdmission().admit({ ...request, operation })
}

const filtered = (expression?: string): TelemetrySpec => ({
  accessLogging: [{}, { filter: expression === undefined ? {} : { expression } }],
})

describe('a Telemetry', () => {
  it.each([['response.code >='], [''], ["'a' | 'b'"], ['"'], [undefined]])(
    'is refused with the filter %j',
    (filter) => {
      expect(() => admit(filtered(filter))).toThrow(
        expect.objectContaining({
          code: 'Invalid',
          message: expect.stringContaining('spec.accessLogging[1].filter.expression: Invalid value'),
        }),
      )
      expect(admit(filtered(filter), 'delete')).toBeUndefined()
    },
  )

  it.each([['response.code >= 400'], ['true'], ['absent.attribute']])('is taken with the filter %s', (filter) => {
    expect(admit(filtered(filter))).toBeUndefined()
  })

  it('is taken with tags that are no CEL, and a warning of each', () => {
    const tagOverrides = {
      good: { value: 'request.host' },
      bad: { value: "request_host | ''" },
      empty: {},
      gone: { operation: 'REMOVE' },
    } as const
    expect(admit({ metrics: [{ overrides: [{}, { tagOverrides }] }] })?.warnings).toEqual([
      expect.stringMatching(
        /^spec\.metrics\[0\]\.overrides\[1\]\.tagOverrides\[bad\]\.value: Invalid value: .*left out/,
      ),
      expect.stringContaining('tagOverrides[empty].value'),
    ])
  })
})
