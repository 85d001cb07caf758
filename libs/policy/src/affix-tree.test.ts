import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { AffixTree } from './affix-tree.ts'

function found(tree: AffixTree<string>, text: string): string[] {
  const collect = (before: string[], values: readonly string[], _: undefined) => [...before, ...values]
  return tree.fold(text, [] as string[], collect, undefined)
}

describe('AffixTree', () => {
  it.each(['start', 'end'] as const)('finds every text that others have at their %s', (end) => {
    const random = new SeededRandom(3)
    const word = (most: number) =>
      Array.from({ length: random.integer(most) }, () => random.pick(['a', 'b', 'ä'])).join('')
    for (let round = 0; round < 300; round += 1) {
      const tree = new AffixTree<string>(end)
      const affixes = [...new Set(Array.from({ length: random.integer(12) }, () => word(6)))]
      for (const affix of affixes) tree.valuesOf(affix).push(affix)
      for (let asked = 0; asked < 20; asked += 1) {
        const text = word(9)
        const wanted = affixes.filter((affix) => (end === 'start' ? text.startsWith(affix) : text.endsWith(affix)))
        expect(found(tree, text)).toEqual(wanted.sort((a, b) => a.length - b.length))
      }
    }
  })

  it('walks a text once, however many affixes there are', () => {
    const tree = new AffixTree<number>('start')
    for (let index = 0; index < 5000; index += 1) tree.valuesOf(`/tenant-${index}/`).push(index)
    let steps = 0
    const count = (before: number, values: readonly number[], _: undefined) => {
      steps += 1
      return before + values.length
    }
    expect(tree.fold('/tenant-4711/x', 0, count, undefined)).toBe(1)
    expect(steps).toBe(1)
  })
})
