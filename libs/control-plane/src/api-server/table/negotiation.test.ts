import { describe, expect, it } from 'vitest'
import { negotiate } from './negotiation.ts'

const KUBECTL =
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json'

describe('negotiate', () => {
  it.each([
    [undefined, 'object'],
    ['', 'object'],
    ['*/*', 'object'],
    ['application/json', 'object'],
    ['APPLICATION/JSON; charset=utf-8', 'object'],
    ['application/json, */*', 'object'],
    ['text/html, application/*;q=0.8', 'object'],
    [KUBECTL, 'table'],
    ['application/json;as=Table;v=v1beta1;g=meta.k8s.io', 'table'],
    ['application/json;as=Table;v=v9;g=meta.k8s.io,application/json', 'object'],
    ['application/json;as=Nonsense;v=v1;g=meta.k8s.io,application/json', 'object'],
    ['application/json;as=toString;v=v1;g=meta.k8s.io,application/json', 'object'],
    ['application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io', 'metadata'],
    ['application/vnd.kubernetes.protobuf,application/json', 'object'],
    [
      'application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
      'metadata',
    ],
  ])('%s is %s', (accept, representation) => {
    expect(negotiate(accept).representation).toBe(representation)
  })

  it('tells the versions apart', () => {
    expect(negotiate('application/json;as=Table;v=v1beta1;g=meta.k8s.io').metaVersion).toBe('v1beta1')
    const both =
      'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json'
    expect(negotiate(both).discoveryVersion).toBe('v2')
    expect(negotiate(both.replace('v=v2;', 'v=v3;')).discoveryVersion).toBe('v2beta1')
  })

  it.each([
    'application/vnd.kubernetes.protobuf',
    'text/html',
    'application/json;as=Table;v=v1;g=other',
    ','.repeat(100),
  ])('%s is refused', (accept) => {
    expect(() => negotiate(accept)).toThrow(expect.objectContaining({ status: 406, code: 'NotAcceptable' }))
  })
})
