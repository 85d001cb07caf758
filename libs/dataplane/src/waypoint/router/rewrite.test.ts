import { LinearRegex } from '@ambient-lab/policy'
import type { PathMatcher, PathRewrite, RedirectAction } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import type { CompilePattern } from './matchers.ts'
import { compileRedirect } from './redirect.ts'
import { compilePathRewrite } from './rewrite.ts'

const compilePattern: CompilePattern = (pattern) => LinearRegex.compile(pattern)

describe('a path is rewritten', () => {
  it.each<[PathRewrite, PathMatcher | undefined, string, string]>([
    [{ prefix: '/b' }, { pathSegments: '/a' }, '/a', '/b'],
    [{ prefix: '/b' }, { pathSegments: '/a' }, '/a/', '/b/'],
    [{ prefix: '/b/' }, { pathSegments: '/a' }, '/a/x', '/b/x'],
    [{ prefix: '/b' }, { pathSegments: '/a/' }, '/a/x?q=/a', '/b/x?q=/a'],
    [{ prefix: '/' }, { pathSegments: '/a' }, '/a', '/'],
    [{ prefix: '/' }, { pathSegments: '/a' }, '/a/x', '/x'],
    [{ prefix: '' }, { pathSegments: '/a' }, '/a?x', '/?x'],
    [{ prefix: '/b' }, { pathSegments: '/' }, '/x', '/b/x'],
    [{ prefix: '/b' }, { prefix: '/a' }, '/abc', '/bbc'],
    [{ prefix: '/' }, { prefix: '/a/' }, '/a/x', '/x'],
    [{ prefix: '/b' }, { exact: '/a' }, '/a?x=1', '/b?x=1'],
    [{ prefix: '/b' }, undefined, '/x', '/b/x'],
    [{ full: '/b' }, { pathSegments: '/a' }, '/a/x?q', '/b?q'],
    [{ regex: { pattern: '/v(\\d)/', substitution: '/\\1/' } }, undefined, '/v2/x/v3/?v4/', '/2/x/3/?v4/'],
  ])('%o of %o: %s → %s', (rewrite, matcher, path, expected) => {
    expect(compilePathRewrite(rewrite, matcher, compilePattern)(path)).toBe(expected)
  })
})

describe('a redirect leads to', () => {
  const request = { scheme: 'http', authority: 'example.com:8080', path: '/a/x?q=1' }
  it.each<[Partial<RedirectAction>, Partial<typeof request>, string]>([
    [{}, {}, 'http://example.com:8080/a/x?q=1'],
    [{ scheme: 'https' }, {}, 'https://example.com/a/x?q=1'],
    [{ scheme: 'https', port: 8443 }, {}, 'https://example.com:8443/a/x?q=1'],
    [{ scheme: 'https', port: 443 }, {}, 'https://example.com/a/x?q=1'],
    [{ port: 80 }, {}, 'http://example.com/a/x?q=1'],
    [{ authority: 'other.org' }, {}, 'http://other.org:8080/a/x?q=1'],
    [{ authority: 'other.org' }, { authority: 'example.com' }, 'http://other.org/a/x?q=1'],
    [{ path: { full: '/z' } }, {}, 'http://example.com:8080/z?q=1'],
    [{ path: { prefix: '/z' } }, {}, 'http://example.com:8080/z/x?q=1'],
    [{}, { authority: '[fd00::1]' }, 'http://[fd00::1]/a/x?q=1'],
    [{ port: 81 }, { authority: '[fd00::1]:80' }, 'http://[fd00::1]:81/a/x?q=1'],
  ])('%o, asked with %o: %s', (redirect, made, expected) => {
    const locationOf = compileRedirect({ status: 302, ...redirect }, { pathSegments: '/a' }, compilePattern)
    expect(locationOf({ ...request, ...made })).toBe(expected)
  })
})
