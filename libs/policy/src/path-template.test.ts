import { describe, expect, it } from 'vitest'
import { compilePathTemplate } from './path-template.ts'

const MATCHES: readonly [template: string, path: string, matches: boolean][] = [
  ['/foo/{*}', '/foo/bar', true],
  ['/foo/{*}', '/foo/', false],
  ['/foo/{*}', '/foo', false],
  ['/foo/{*}', '/foo/bar/', false],
  ['/foo/{*}', '/foo/bar/baz', false],
  ['/{*}/bar/{*}', '/x/bar/y', true],
  ['/{*}/bar/{*}', '/bar/y', false],
  ['/foo/{**}', '/foo/', true],
  ['/foo/{**}', '/foo/bar/baz', true],
  ['/foo/{**}', '/foo', false],
  ['/{**}/path/template', '/path/template', false],
  ['/{**}/path/template', '//path/template', true],
  ['/{**}/path/template', '/a/b/path/template', true],
  ['/{**}/path/template', '/a/b/path/template/', false],
  ['/{*}/{**}/end', '/a/b/c/end', true],
  ['/{*}/{**}/end', '/a/end', false],
  ['/a/{*}/', '/a/b/', true],
  ['/a/{*}/', '/a/b', false],
  ['/foo/{*}', '/foo/a%20b~!$&', true],
  ['/foo/{*}', '/foo/a"b', false],
  ['/foo/{*}', '/foo/ä', false],
  ['/foo/{**}', '/foo/a|b', false],
]

describe('path templates', () => {
  it.each(MATCHES)('%s and %s: %s', (template, path, matches) => {
    expect(compilePathTemplate(template)?.matches(path)).toBe(matches)
  })

  it.each(['/{**}/{*}', '/{**}/{**}', '/{x}', '/{*', '/a{*}', '/{*}a', '/plain', '{*}{*}'])(
    '%s is none',
    (template) => {
      expect(compilePathTemplate(template)).toBeUndefined()
    },
  )

  it('looks at each character a bounded number of times', () => {
    const template = compilePathTemplate(`${'/a/{*}'.repeat(1000)}/{**}/end`)
    const path = `${'/a/b'.repeat(1000)}${'/a'.repeat(200_000)}`
    expect(template?.matches(path)).toBe(false)
    expect(template?.matches(`${path}/end`)).toBe(true)
  })
})
