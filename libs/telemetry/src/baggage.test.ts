import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Baggage, formatBaggage, parseBaggage } from './baggage.ts'

const ALL: Baggage = {
  clusterId: 'K1',
  namespace: 'NS1',
  workloadName: 'N1',
  workloadType: 'pod',
  serviceName: 'N2',
  revision: 'V1',
  region: 'R1',
  zone: 'Z1',
}

describe('baggage', () => {
  test('is written in the order of ztunnel, without what is empty', () => {
    expect(formatBaggage(ALL)).toBe(
      'k8s.cluster.name=K1,k8s.namespace.name=NS1,k8s.pod.name=N1,service.name=N2,service.version=V1,cloud.region=R1,cloud.availability_zone=Z1',
    )
    expect(formatBaggage({ workloadName: 'x', region: '', zone: undefined })).toBe('k8s.deployment.name=x')
    expect(formatBaggage({})).toBe('')
  })

  test.each<[string, string | string[] | undefined, Baggage]>([
    ['nothing', undefined, {}],
    ['empty', '', {}],
    ['everything', formatBaggage(ALL), ALL],
    ['empty values', 'k8s.cluster.name=,service.name=', {}],
    [
      'several headers',
      ['k8s.cluster.name=K1', 'service.name=N2,cloud.region=R1'],
      { clusterId: 'K1', serviceName: 'N2', region: 'R1' },
    ],
    [
      'space, properties, equals signs',
      ' k8s.cluster.name = K1 ;p=1;q , service.version=a=b',
      { clusterId: 'K1', revision: 'a=b' },
    ],
    ['the later of two', 'service.name=a,service.name=b', { serviceName: 'b' }],
    ['strangers and rubbish', 'user=1,__proto__=x,constructor=y,=,==,;,k8s.node.name=z,service.name', {}],
    [
      'percent signs',
      'service.name=a%2Cb%20c,service.version=100%,cloud.region=%FF',
      { serviceName: 'a,b c', revision: '100%', region: '%FF' },
    ],
  ])('reads %s', (_, header, expected) => {
    expect(parseBaggage(header)).toEqual(expected)
  })

  test('beyond its bounds is not read at all', () => {
    expect(parseBaggage(`service.name=${'x'.repeat(8192)}`)).toEqual({})
    expect(parseBaggage(`${'a=1,'.repeat(64)}service.name=x`)).toEqual({})
    expect(parseBaggage(`${'a=1,'.repeat(63)}service.name=x`)).toEqual({ serviceName: 'x' })
  })

  test('survives any header', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'k8s.name=,;% \t"\\é\u0000'), maxLength: 200 }), (text) => {
        const read = parseBaggage(text)
        expect(parseBaggage(formatBaggage(read))).toEqual(read)
      }),
      { numRuns: 2000, seed: 5 },
    )
  })

  test('carries any value that is text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }), (value) => {
        const header = formatBaggage({ serviceName: value, zone: value })
        expect(header).toMatch(/^[!-~]*$/)
        expect(parseBaggage(header)).toEqual({ serviceName: value.toWellFormed(), zone: value.toWellFormed() })
      }),
      { numRuns: 1000, seed: 5 },
    )
  })
})
