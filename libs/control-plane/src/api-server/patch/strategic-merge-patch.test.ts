import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { strategicMergePatch } from './strategic-merge-patch.ts'

const A = { name: 'a', image: '1' }
const B = { name: 'b', image: '1' }

describe('strategicMergePatch', () => {
  it.each<[string, unknown, unknown, unknown]>([
    ['merges objects', { a: 1, b: { c: 1 } }, { b: { d: 2 } }, { a: 1, b: { c: 1, d: 2 } }],
    ['removes with null', { a: 1, b: 2 }, { a: null }, { b: 2 }],
    ['replaces plain lists', { args: ['a', 'b'] }, { args: ['c'] }, { args: ['c'] }],
    ['replaces lists without a key', { rules: [{ x: 1 }] }, { rules: [{ y: 1 }] }, { rules: [{ y: 1 }] }],
    [
      'merges items by key',
      { containers: [A, B] },
      { containers: [{ name: 'b', image: '2' }] },
      { containers: [A, { name: 'b', image: '2' }] },
    ],
    ['adds items', { containers: [A] }, { containers: [B] }, { containers: [A, B] }],
    ['deletes items', { containers: [A, B] }, { containers: [{ name: 'a', $patch: 'delete' }] }, { containers: [B] }],
    [
      'replaces a list on request',
      { containers: [A, B] },
      { containers: [{ $patch: 'replace' }, B] },
      { containers: [B] },
    ],
    ['replaces an object on request', { s: { a: 1 } }, { s: { b: 2, $patch: 'replace' } }, { s: { b: 2 } }],
    [
      'merges a service’s ports',
      { ports: [{ port: 80, name: 'x' }] },
      { ports: [{ port: 80, targetPort: 1 }, { port: 81 }] },
      { ports: [{ port: 80, name: 'x', targetPort: 1 }, { port: 81 }] },
    ],
    [
      'merges a container’s ports',
      { ports: [{ containerPort: 80 }] },
      { ports: [{ containerPort: 80, name: 'x' }] },
      { ports: [{ containerPort: 80, name: 'x' }] },
    ],
    ['adds to sets', { finalizers: ['a'] }, { finalizers: ['a', 'b'] }, { finalizers: ['a', 'b'] }],
    [
      'takes from sets',
      { finalizers: ['a', 'b'] },
      { '$deleteFromPrimitiveList/finalizers': ['a'] },
      { finalizers: ['b'] },
    ],
    [
      'orders items',
      { containers: [A, B] },
      { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }], containers: [{ name: 'a', image: '2' }] },
      { containers: [B, { name: 'a', image: '2' }] },
    ],
    [
      'keeps unknown items behind the ordered',
      { env: [{ name: 'x' }, A] },
      { '$setElementOrder/env': [{ name: 'a' }] },
      { env: [A, { name: 'x' }] },
    ],
    [
      'retains named keys',
      { strategy: { type: 'RollingUpdate', rollingUpdate: {} } },
      { strategy: { $retainKeys: ['type'], type: 'Recreate' } },
      { strategy: { type: 'Recreate' } },
    ],
  ])('%s', (_, target, patch, expected) => {
    const before = JSON.stringify([target, patch])
    expect(strategicMergePatch(target, patch)).toEqual(expected)
    expect(JSON.stringify([target, patch])).toBe(before)
  })

  it('never fails, whatever it is given', () => {
    const key = fc.constantFrom(
      'containers',
      'ports',
      '$patch',
      '$retainKeys',
      '$setElementOrder/ports',
      '$deleteFromPrimitiveList/finalizers',
      'finalizers',
      'name',
      'port',
      'x',
    )
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom(null, 'delete', 'replace', 1, 'a'),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
      ),
    }))
    fc.assert(
      fc.property(tree, tree, (target, patch) => void strategicMergePatch(target, patch)),
      { numRuns: 2000, seed: 1 },
    )
  })
})
