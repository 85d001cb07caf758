import { CodedError } from '@ambient-lab/std'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jsonPatch } from './json-patch.ts'
import { mergePatch } from './merge-patch.ts'
import { serverSideApply } from './server-side-apply.ts'

describe('merge patch', () => {
  // The table of RFC 7386, appendix A.
  test.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j with %j is %j', (target, patch, expected) => {
    expect(mergePatch(target, patch)).toEqual(expected)
  })

  test('a key named __proto__ is data', () => {
    const patched = mergePatch({}, JSON.parse('{"__proto__": {"polluted": true}}')) as Record<string, unknown>
    expect(Object.hasOwn(patched, '__proto__')).toBe(true)
    expect((patched as { polluted?: boolean }).polluted).toBeUndefined()
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})

describe('JSON patch', () => {
  test.each<[unknown, unknown[], unknown]>([
    [{ a: 1 }, [{ op: 'add', path: '/b', value: 2 }], { a: 1, b: 2 }],
    [{ a: [1, 3] }, [{ op: 'add', path: '/a/1', value: 2 }], { a: [1, 2, 3] }],
    [{ a: [1] }, [{ op: 'add', path: '/a/-', value: 2 }], { a: [1, 2] }],
    [{ a: 1, b: 2 }, [{ op: 'remove', path: '/b' }], { a: 1 }],
    [{ a: [1, 2] }, [{ op: 'remove', path: '/a/0' }], { a: [2] }],
    [{ a: 1 }, [{ op: 'replace', path: '/a', value: { b: 1 } }], { a: { b: 1 } }],
    [{ a: 1 }, [{ op: 'replace', path: '', value: [] }], []],
    [{ a: { b: 1 } }, [{ op: 'move', from: '/a/b', path: '/c' }], { a: {}, c: 1 }],
    [{ a: { b: 1 } }, [{ op: 'copy', from: '/a', path: '/c' }], { a: { b: 1 }, c: { b: 1 } }],
    [
      { 'x/y': 1, '~': 2 },
      [
        { op: 'remove', path: '/x~1y' },
        { op: 'test', path: '/~0', value: 2 },
      ],
      { '~': 2 },
    ],
    [{ a: { x: 1, y: [2] } }, [{ op: 'test', path: '/a', value: { y: [2], x: 1 } }], { a: { x: 1, y: [2] } }],
  ])('%j with %j', (document, patch, expected) => {
    const before = structuredClone(document)
    expect(jsonPatch(document, patch)).toEqual(expected)
    expect(document).toEqual(before)
  })

  test.each<[string, unknown]>([
    ['PATCH_INVALID', {}],
    ['PATCH_INVALID', [{ op: 'frob', path: '/a' }]],
    ['PATCH_INVALID', [{ op: 'add', path: '/a' }]],
    ['PATCH_INVALID', [{ op: 'remove', path: 'a' }]],
    ['PATCH_INVALID', [{ op: 'remove' }]],
    ['PATCH_INVALID', [{ op: 'move', from: '/l', path: '/l/0' }]],
    ['PATCH_FAILED', [{ op: 'remove', path: '/missing' }]],
    ['PATCH_FAILED', [{ op: 'replace', path: '/missing', value: 1 }]],
    ['PATCH_FAILED', [{ op: 'add', path: '/missing/x', value: 1 }]],
    ['PATCH_FAILED', [{ op: 'add', path: '/l/3', value: 1 }]],
    ['PATCH_FAILED', [{ op: 'add', path: '/l/01', value: 1 }]],
    ['PATCH_FAILED', [{ op: 'test', path: '/a', value: 2 }]],
    ['PATCH_FAILED', [{ op: 'remove', path: '/toString' }]],
  ])('%s for %j', (code, patch) => {
    expect(() => jsonPatch({ a: 1, l: [1, 2] }, patch)).toThrow(expect.objectContaining({ code }))
  })

  test('copies of copies are bounded', () => {
    const doubling = Array.from({ length: 100 }, (_, index) => ({ op: 'copy', from: '', path: `/c${index}` }))
    expect(() => jsonPatch({ a: 'x'.repeat(1000) }, doubling)).toThrow(
      expect.objectContaining({ code: 'PATCH_INVALID' }),
    )
  })

  test('whatever the patch, only a coded error', () => {
    const operation = fc.record({
      op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'x'),
      path: fc.constantFrom('', '/', '/a', '/a/0', '/a/-', '/__proto__', '/__proto__/x', '/b/c', 'x'),
      from: fc.constantFrom('', '/a', '/b', '/zz'),
      value: fc.jsonValue(),
    })
    fc.assert(
      fc.property(fc.jsonValue(), fc.array(operation, { maxLength: 8 }), (document, patch) => {
        try {
          jsonPatch(document, patch)
        } catch (error) {
          if (!CodedError.is(error)) throw error
        }
        expect(({} as { x?: unknown }).x).toBeUndefined()
      }),
      { numRuns: 500, seed: 1 },
    )
  })
})

describe('server-side apply', () => {
  test('makes an object where there is none', () => {
    expect(serverSideApply(undefined, { spec: { replicas: 1 } })).toEqual({ spec: { replicas: 1 } })
  })

  test('keeps what others set, and lists with keys are merged', () => {
    const current = {
      spec: {
        replicas: 5,
        template: {
          containers: [
            { name: 'web', image: 'a', resources: {}, env: [{ name: 'A', value: '1' }] },
            { name: 'injected', image: 'x' },
          ],
        },
      },
    }
    const applied = {
      spec: { template: { containers: [{ name: 'web', image: 'b', env: [{ name: 'B', value: '2' }] }] } },
    }
    expect(serverSideApply<object>(current, applied)).toEqual({
      spec: {
        replicas: 5,
        template: {
          containers: [
            {
              name: 'web',
              image: 'b',
              resources: {},
              env: [
                { name: 'B', value: '2' },
                { name: 'A', value: '1' },
              ],
            },
            { name: 'injected', image: 'x' },
          ],
        },
      },
    })
  })

  test('removes what the same manager no longer says', () => {
    const previous = { labels: { a: '1', b: '2' }, ports: [{ port: 80 }, { port: 81 }] }
    const current = {
      labels: { a: '1', b: '2', other: '3' },
      ports: [{ port: 80, protocol: 'TCP' }, { port: 81 }, { port: 99 }],
    }
    const applied = { labels: { a: '1' }, ports: [{ port: 80 }] }
    expect(serverSideApply<object>(current, applied, previous)).toEqual({
      labels: { a: '1', other: '3' },
      ports: [{ port: 80, protocol: 'TCP' }, { port: 99 }],
    })
  })

  test('one port number on two protocols is two ports', () => {
    const current = {
      ports: [
        { port: 53, protocol: 'TCP', nodePort: 1 },
        { port: 53, protocol: 'UDP', nodePort: 2 },
      ],
    }
    const applied = { ports: [{ port: 53 }, { port: 53, protocol: 'UDP' }] }
    expect(serverSideApply<object>(current, applied)).toEqual(current)
  })

  test('other lists are replaced whole', () => {
    expect(serverSideApply<object>({ args: ['a', 'b'], rules: [{ x: 1 }] }, { args: ['c'], rules: [{}] })).toEqual({
      args: ['c'],
      rules: [{}],
    })
  })

  test('applying the same again changes nothing', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue()), (a, b) => {
        const once = serverSideApply<object>(a, b)
        expect(serverSideApply<object>(once, b, b)).toEqual(once)
      }),
      { numRuns: 300, seed: 1 },
    )
  })
})
