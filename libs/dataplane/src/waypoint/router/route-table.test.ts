import { LinearRegex } from '@ambient-lab/policy'
import type { RouteMatch } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { hostOf } from './domains.ts'
import type { CompilePattern } from './matchers.ts'
import { queryParameter } from './query.ts'
import { type RoutedRequest, RouteTable } from './route-table.ts'

const compilePattern: CompilePattern = (pattern) => LinearRegex.compile(pattern)

function request(overrides: Partial<Omit<RoutedRequest, 'headers'>> & { headers?: Record<string, string> } = {}) {
  const { headers = {}, ...rest } = overrides
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'reviews:9080',
    path: '/',
    ...rest,
    headers: { getJoined: (name: string) => headers[name] },
  }
}

function matches(match: RouteMatch, made: RoutedRequest): boolean {
  const route = { name: 'only', match, action: { kind: 'direct-response', status: 200 } } as const
  const virtualHosts = [{ name: 'all', domains: ['*'], routes: [route] }]
  return new RouteTable({ virtualHosts, compilePattern, prepare: ({ name }) => name }).find(made) === 'only'
}

describe('a virtual host is chosen', () => {
  const hosts = ['exact.example.com', '*.example.com', '*.b.example.com', 'exact.*', 'exact.example.*', '*']
  const virtualHosts = hosts.map((domain) => ({
    name: domain,
    domains: [domain],
    routes: [{ name: domain, match: {}, action: { kind: 'direct-response', status: 200 } as const }],
  }))
  const table = new RouteTable({ virtualHosts, compilePattern, prepare: ({ name }) => name })
  it.each([
    ['exact.example.com', 'exact.example.com'],
    ['EXACT.example.com:8080', 'exact.example.com'],
    ['a.example.com', '*.example.com'],
    ['a.b.example.com', '*.b.example.com'],
    ['exact.example.org', 'exact.example.*'],
    ['exact.org', 'exact.*'],
    ['.example.com', '*'],
    ['example.com', '*'],
    ['[fd00::1]:80', '*'],
    ['', '*'],
  ])('%s → %s', (authority, expected) => {
    expect(table.find(request({ authority }))).toBe(expected)
  })

  it('and none is found where no domain fits, or no route of the one that does', () => {
    const only = [
      { name: 'a', domains: ['a'], routes: [] },
      { name: 'b', domains: ['*'], routes: virtualHosts[0]!.routes },
    ]
    const narrow = new RouteTable({ virtualHosts: only, compilePattern, prepare: ({ name }) => name })
    expect(narrow.find(request({ authority: 'a' }))).toBeUndefined()
    expect(narrow.find(request({ authority: 'c' }))).toBe('exact.example.com')
  })
})

describe('a route matches', () => {
  it.each<[string, RouteMatch, Parameters<typeof request>[0], boolean]>([
    ['everything when it says nothing', {}, {}, true],
    ['segments: the same', { path: { pathSegments: '/foo' } }, { path: '/foo' }, true],
    ['segments: with a slash', { path: { pathSegments: '/foo' } }, { path: '/foo/' }, true],
    ['segments: below', { path: { pathSegments: '/foo/' } }, { path: '/foo/bar?x=1' }, true],
    ['segments: their own slash is no segment', { path: { pathSegments: '/foo/' } }, { path: '/foo' }, true],
    ['segments: not half of one', { path: { pathSegments: '/foo' } }, { path: '/foobar' }, false],
    ['segments: a query ends them', { path: { pathSegments: '/foo' } }, { path: '/foo?a' }, true],
    ['segments: all', { path: { pathSegments: '/' } }, { path: '/anything' }, true],
    ['segments: case', { path: { pathSegments: '/foo' } }, { path: '/FOO' }, false],
    ['segments: ignored case', { path: { pathSegments: '/Foo', ignoreCase: true } }, { path: '/FOO/x' }, true],
    ['exact', { path: { exact: '/a' } }, { path: '/a?q=1' }, true],
    ['exact: longer', { path: { exact: '/a' } }, { path: '/a/' }, false],
    ['prefix: letters', { path: { prefix: '/foo' } }, { path: '/foobar' }, true],
    ['prefix: ignored case', { path: { prefix: '/FOO', ignoreCase: true } }, { path: '/foobar' }, true],
    ['regex: whole path without the query', { path: { regex: '/v[12]' } }, { path: '/v1?x' }, true],
    ['regex: not a part', { path: { regex: '/v[12]' } }, { path: '/v1/x' }, false],
    ['method', { method: { exact: 'POST' } }, { method: 'post' }, false],
    ['scheme', { scheme: { exact: 'https' } }, {}, false],
    ['authority with its port', { authority: { prefix: 'reviews:' } }, {}, true],
    [
      'header',
      { headers: [{ name: 'End-User', value: { exact: 'jason' } }] },
      { headers: { 'end-user': 'jason' } },
      true,
    ],
    ['header: another value', { headers: [{ name: 'x', value: { exact: 'a' } }] }, { headers: { x: 'b' } }, false],
    ['header: absent', { headers: [{ name: 'x', value: { exact: 'a' } }] }, {}, false],
    ['header: present', { headers: [{ name: 'x' }] }, { headers: { x: '' } }, true],
    ['header: not present', { headers: [{ name: 'x', invert: true }] }, { headers: { x: '' } }, false],
    ['header: absent, inverted', { headers: [{ name: 'x', value: { exact: 'a' }, invert: true }] }, {}, true],
    ['header: suffix', { headers: [{ name: 'x', value: { suffix: 'z' } }] }, { headers: { x: 'xyz' } }, true],
    [
      'header: contains',
      { headers: [{ name: 'x', value: { contains: 'Y', ignoreCase: true } }] },
      { headers: { x: 'xyz' } },
      true,
    ],
    ['query', { queryParams: [{ name: 'a', value: { exact: '1' } }] }, { path: '/?b=2&a=1' }, true],
    ['query: decoded', { queryParams: [{ name: 'a', value: { exact: 'x y' } }] }, { path: '/?a=x%20y' }, true],
    ['query: the first counts', { queryParams: [{ name: 'a', value: { exact: '2' } }] }, { path: '/?a=1&a=2' }, false],
    ['query: none', { queryParams: [{ name: 'a', value: { exact: '1' } }] }, { path: '/' }, false],
    ['grpc', { grpc: true }, { headers: { 'content-type': 'application/grpc+proto' } }, true],
    ['grpc: not the web', { grpc: true }, { headers: { 'content-type': 'application/grpc-web' } }, false],
    ['all of several', { method: { exact: 'GET' }, path: { exact: '/a' } }, { path: '/b' }, false],
  ])('%s', (_title, match, made, expected) => {
    expect(matches(match, request(made))).toBe(expected)
  })

  it('and the first that does is taken', () => {
    const action = { kind: 'direct-response', status: 200 } as const
    const routes = [
      { name: 'first', match: { path: { exact: '/a' } }, action },
      { name: 'second', match: {}, action },
      { name: 'third', match: { path: { exact: '/b' } }, action },
    ]
    const virtualHosts = [{ name: 'all', domains: ['*'], routes }]
    const table = new RouteTable({ virtualHosts, compilePattern, prepare: ({ name }) => name })
    expect(['/a', '/b', '/c'].map((path) => table.find(request({ path })))).toEqual(['first', 'second', 'second'])
  })
})

it.each([
  ['a=1', 'a', '1'],
  ['a', 'a', ''],
  ['a=', 'a', ''],
  ['b=1&a=%41+', 'a', 'A+'],
  ['%61=1', 'a', '1'],
  ['a=%zz', 'a', '%zz'],
  ['aa=1', 'a', undefined],
  ['', 'a', undefined],
  ['&&a=b=c', 'a', 'b=c'],
])('the parameter of ?%s named %s is %s', (query, name, expected) => {
  expect(queryParameter(query, name)).toBe(expected)
})

it.each([
  ['a', 'a'],
  ['A:80', 'a'],
  ['[::1]', '[::1]'],
  ['[::1]:80', '[::1]'],
  [':80', ':80'],
])('the host of %s is %s', (authority, host) => {
  expect(hostOf(authority)).toBe(host)
})
