import type { LinkFault } from '@ambient-lab/xds'
import { expect, test } from 'vitest'
import { LinkFaultFeed } from './link-fault-feed.ts'

function fault(name: string, change: Partial<LinkFault> = {}): { name: string; resource: LinkFault } {
  const base = { type: 'delay', from: ['n1'], to: ['n2'], oneway: false, delayMs: 5, jitterMs: 0, seed: 1 } as const
  return { name, resource: { name, ...base, ...change } }
}

test('the sink always has the whole list', () => {
  const lists: string[][] = []
  const feed = new LinkFaultFeed({ set: (faults) => lists.push(faults.map(({ name }) => name)) })
  feed.apply([fault('a'), fault('b')], [])
  feed.apply([fault('c')], ['a'])
  feed.apply([fault('b', { delayMs: 9 })], [])
  expect(lists).toEqual([
    ['a', 'b'],
    ['b', 'c'],
    ['b', 'c'],
  ])
})

test.each([
  [{ delayMs: -1 }, 'is no delay'],
  [{ jitterMs: Number.NaN }, 'is no delay'],
  [{ type: 'corrupt' as LinkFault['type'] }, 'type corrupt'],
  [{ from: 'n1' as unknown as string[] }, 'lists of nodes'],
])('%j is refused, the rest holds', (change, part) => {
  let held: readonly LinkFault[] = []
  const feed = new LinkFaultFeed({
    set: (faults) => {
      held = faults
    },
  })
  expect(feed.apply([fault('bad', change), fault('good')], [])).toEqual([
    { name: 'bad', reason: expect.stringContaining(part) },
  ])
  expect(held.map(({ name }) => name)).toEqual(['good'])
})
