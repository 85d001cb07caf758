import { describe, expect, it } from 'vitest'
import { type ExtensionProvider, extAuthzProblem } from './extension-provider.ts'

const service = { service: 'ns/authz.ns.svc.cluster.local', port: 8000 }

describe('extAuthzProblem', () => {
  it.each<[string, Partial<ExtensionProvider>, string | undefined]>([
    ['gRPC', { envoyExtAuthzGrpc: service }, undefined],
    ['HTTP', { envoyExtAuthzHttp: { ...service, pathPrefix: '/check', statusOnError: '503' } }, undefined],
    ['neither', {}, 'extension provider p does no external authorization'],
    ['port 0', { envoyExtAuthzGrpc: { ...service, port: 0 } }, 'port 0 is not from 1 to 65535'],
    ['no service', { envoyExtAuthzGrpc: { ...service, service: '' } }, 'it names no service'],
    [
      'a status that ends nothing',
      { envoyExtAuthzGrpc: { ...service, statusOnError: '100' } },
      'statusOnError 100 is not supported',
    ],
    [
      'a body of nothing',
      { envoyExtAuthzGrpc: { ...service, includeRequestBodyInCheck: { maxRequestBytes: 0 } } },
      'includeRequestBodyInCheck.maxRequestBytes is not above 0',
    ],
    [
      'a prefix that is no path',
      { envoyExtAuthzHttp: { ...service, pathPrefix: '/a b' } },
      'pathPrefix "/a b" is no path',
    ],
    [
      'a name',
      { envoyExtAuthzHttp: { ...service, includeAdditionalHeadersInCheck: { 'a b': '1' } } },
      '"a b" is no name of a header',
    ],
    [
      'a value',
      { envoyExtAuthzHttp: { ...service, includeAdditionalHeadersInCheck: { a: '1\r\nb: 2' } } },
      'the value of a is none that a header can have',
    ],
    ['a status', { envoyExtAuthzGrpc: { ...service, statusOnError: '999' } }, 'statusOnError 999 is not supported'],
    ['a prefix', { envoyExtAuthzHttp: { ...service, pathPrefix: 'check' } }, 'pathPrefix check does not begin with /'],
    [
      'any header',
      { envoyExtAuthzHttp: { ...service, headersToUpstreamOnAllow: ['*'] } },
      'a single * stands for no header',
    ],
  ])('%s', (_, provider, problem) => {
    expect(extAuthzProblem([{ name: 'p', ...provider }], 'p')).toBe(problem)
  })

  it('wants a name that is one, once', () => {
    const named = (name: string) => ({ name, envoyExtAuthzGrpc: service })
    expect(extAuthzProblem([named('a')], 'b')).toBe('no extension provider "b" in the mesh settings')
    expect(extAuthzProblem([named('a'), named('a')], 'a')).toBe('several extension providers are called a')
    expect(extAuthzProblem([named('A_b')], 'A_b')).toBe('A_b is no DNS label')
  })
})
