import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { canonicalizePath, mergeSlashes, normalizePath, type PathNormalization } from './path-normalization.ts'

describe('a path', () => {
  it.each<[string, base: string | undefined, merged?: string, decoded?: string]>([
    ['/', '/'],
    ['/a/b?c=/../d', '/a/b?c=/../d'],
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/b/.', '/a/b/'],
    ['/../../a', '/a'],
    ['/a/%2e%2E/b', '/b'],
    ['/a/.%2e/b', '/b'],
    ['/a..b/.c/d./...', '/a..b/.c/d./...'],
    ['/a%2e', '/a.'],
    ['\\a\\b', '/a/b'],
    ['/a\\..\\b', '/b'],
    ['/%41%7a%30%2d%5f%7E', '/Az0-_~'],
    ['/%20%25%c3%A9', '/%20%25%c3%A9'],
    ['/a"<>^`{|}', '/a%22%3C%3E%5E%60%7B%7C%7D'],
    ['/a%', '/a%'],
    ['/a%4', '/a%4'],
    ['/%00', undefined, undefined, undefined],
    ['/%252e%252e/a', '/%252e%252e/a'],
    ['a', '/a'],
    ['//a///b', '//a///b', '/a/b'],
    ['//', '//', '/'],
    ['/a//../b', '/a/b'],
    ['/a%2f%2Fb', '/a%2f%2Fb', '/a%2f%2Fb', '/a/b'],
    ['/a%5c..%5Cb', '/a%5c..%5Cb', '/a%5c..%5Cb', '/b'],
    ['/a%2f..%2fb?c%2fd', '/a%2f..%2fb?c%2fd', '/a%2f..%2fb?c%2fd', '/b?c%2fd'],
    ['*', '*'],
    ['', ''],
  ])('%s', (path, base, merged = base, decoded = merged) => {
    const all = (['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'] as const).map((one) =>
      normalizePath(path, one),
    )
    expect(all).toEqual([path, base, merged, decoded])
  })

  it('has no dot segment left, and no double slash where they are merged, whatever comes (seed 1)', () => {
    const random = new SeededRandom(1)
    const parts = ['/', '/', '.', '..', 'a', '%2e', '%2E', '%2f', '%5c', '\\', '%', '%25', '?', '"', '%41', 'b.c']
    for (let run = 0; run < 5_000; run += 1) {
      const path = `/${Array.from({ length: random.integer(8) }, () => random.pick(parts)).join('')}`
      const normalization = random.pick<PathNormalization>(['BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'])
      const normal = normalizePath(path, normalization)!.replace(/\?.*$/, '')
      expect(normal, path).toMatch(/^\//)
      expect(normal.split('/'), path).not.toContain('..')
      expect(normal.split('/'), path).not.toContain('.')
      expect(normal, path).not.toContain('\\')
      if (normalization !== 'BASE') expect(normal, path).not.toContain('//')
      if (normalization === 'DECODE_AND_MERGE_SLASHES') expect(normal, path).not.toMatch(/%2f|%5c/i)
    }
  })

  it('is left alone where there is nothing to do', () => {
    const path = '/productpage/static/a-b_c~d.css'
    expect(canonicalizePath(path)).toBe(path)
    expect(mergeSlashes(path)).toBe(path)
  })
})
