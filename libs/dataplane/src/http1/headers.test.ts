import { describe, expect, it } from 'vitest'
import { HeaderNames } from './header-names.ts'
import { HeaderMap, utf8Value } from './headers.ts'
import { removeHopByHop } from './hop-by-hop.ts'
import { HEADER_NAMES_KEPT } from './limits.ts'

const map = () =>
  new HeaderMap([
    ['Host', 'a'],
    ['X-A', '1'],
    ['x-b', '2'],
    ['x-a', '3'],
  ])

describe('a header map', () => {
  it('keeps order and repetitions, names in lower case', () => {
    const headers = map()
    expect([...headers]).toEqual([
      ['host', 'a'],
      ['x-a', '1'],
      ['x-b', '2'],
      ['x-a', '3'],
    ])
    expect(headers.size).toBe(4)
    expect([headers.nameAt(3), headers.valueAt(3)]).toEqual(['x-a', '3'])
  })

  it.each<[string, (headers: HeaderMap) => unknown, unknown, (string | undefined)[]]>([
    ['get, the first', (headers) => headers.get('x-a'), '1', ['a', '1', '2', '3']],
    ['get in other case', (headers) => headers.get('X-A'), '1', ['a', '1', '2', '3']],
    ['get what is not there', (headers) => headers.get('X-C'), undefined, ['a', '1', '2', '3']],
    ['getAll', (headers) => headers.getAll('X-A'), ['1', '3'], ['a', '1', '2', '3']],
    ['getJoined', (headers) => headers.getJoined('X-a'), '1,3', ['a', '1', '2', '3']],
    ['getJoined what is not there', (headers) => headers.getJoined('x'), undefined, ['a', '1', '2', '3']],
    ['has', (headers) => [headers.has('HOST'), headers.has('x')], [true, false], ['a', '1', '2', '3']],
    ['set, in the place of the first', (headers) => headers.set('X-A', '4'), undefined, ['a', '4', '2']],
    ['set what is not there', (headers) => headers.set('X-C', '4'), undefined, ['a', '1', '2', '3', '4']],
    ['append', (headers) => headers.append('X-B', '4'), undefined, ['a', '1', '2', '3', '4']],
    ['delete, all of them', (headers) => headers.delete('X-A'), true, ['a', '2']],
    ['delete what is not there', (headers) => headers.delete('x'), false, ['a', '1', '2', '3']],
  ])('%s', (_, act, result, values) => {
    const headers = map()
    expect(act(headers)).toEqual(result)
    expect([...headers].map(([, value]) => value)).toEqual(values)
  })

  it('has text in UTF-8', () => {
    const headers = map()
    headers.set('x-a', utf8Value('a €'))
    expect(headers.get('x-a')).toBe('a \xe2\x82\xac')
  })

  it('is independent of its clone', () => {
    const headers = map()
    const clone = headers.clone()
    clone.set('host', 'b')
    expect(headers.get('host')).toBe('a')
  })
})

describe('hop by hop', () => {
  it.each<[string, [string, string][], string[]]>([
    ['nothing to remove', [['a', '']], ['a']],
    [
      'what is so by nature',
      [
        ['keep-alive', ''],
        ['proxy-connection', ''],
        ['transfer-encoding', 'x'],
        ['upgrade', ''],
        ['a', ''],
      ],
      ['a'],
    ],
    [
      'what Connection names',
      [
        ['connection', 'X-A, x-b'],
        ['x-a', ''],
        ['X-B', ''],
        ['x-c', ''],
      ],
      ['x-c'],
    ],
    [
      'what several of them name',
      [
        ['connection', 'x-a'],
        ['Connection', 'x-b'],
        ['x-a', ''],
        ['x-b', ''],
      ],
      [],
    ],
    [
      'but not what others rely on',
      [
        ['connection', 'host, x-forwarded-for'],
        ['host', ''],
        ['x-forwarded-for', ''],
      ],
      ['host', 'x-forwarded-for'],
    ],
    [
      'what gRPC needs stays',
      [
        ['te', 'trailers'],
        ['trailer', 'a'],
      ],
      ['te', 'trailer'],
    ],
    ['a Connection that is broken', [['connection', ',, a b,']], []],
  ])('%s', (_, entries, names) => {
    const headers = new HeaderMap(entries)
    removeHopByHop(headers)
    expect([...headers].map(([name]) => name)).toEqual(names)
  })
})

describe('header names', () => {
  const find = (names: HeaderNames, name: string) => names.find(Buffer.from(name), 0, name.length)

  it('are found by their bytes in any case, and only whole', () => {
    const names = new HeaderNames()
    const id = find(names, 'Content-Type')
    expect(names.nameOf(id)).toBe('content-type')
    expect(find(names, 'CONTENT-TYPE')).toBe(id)
    expect(find(names, 'Content-Typo')).not.toBe(id)
    expect(find(names, 'Content-Typ')).not.toBe(id)
  })

  it('are kept when they are new, up to a bound that known ones do not feel', () => {
    const names = new HeaderNames()
    const first = find(names, 'X-First')
    expect(names.nameOf(first)).toBe('x-first')
    const flood = (count: number) => `${String.fromCharCode(97 + (count % 26))}${(count * 7_919).toString(36)}`
    for (let count = 0; count < 10 * HEADER_NAMES_KEPT; count += 1) find(names, flood(count))
    expect(find(names, 'x-one-more')).toBe(0)
    expect(find(names, 'X-FIRST')).toBe(first)
    expect(names.nameOf(find(names, 'Host'))).toBe('host')
    expect(find(names, `x-${'a'.repeat(100)}`)).toBe(0)
  })

  it('are told apart when first, middle, last and length are the same', () => {
    const names = new HeaderNames()
    const ids = Array.from({ length: 20 }, (_, index) => find(names, `xa${String.fromCharCode(97 + index)}mbz`))
    const kept = ids.filter((id) => id !== 0)
    expect(new Set(kept).size).toBe(kept.length)
    expect(kept.map((id) => names.nameOf(id)[2])).toEqual(kept.map((_, index) => String.fromCharCode(97 + index)))
  })
})
