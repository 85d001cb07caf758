import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, test } from 'vitest'
import { LayeredMap, OVERLAY_ENTRIES_MAX } from './layered-map.ts'

const LARGE = 4 * OVERLAY_ENTRIES_MAX

function large(): Map<string, number> {
  return new Map(Array.from({ length: LARGE }, (_, index) => [`k${index}`, index]))
}

/** As any reader sees it. */
function read(map: ReadonlyMap<string, number>) {
  const seen: [string, number][] = []
  map.forEach((value, key) => {
    seen.push([key, value])
  })
  expect([...map]).toEqual(seen)
  expect([...map.keys()]).toEqual(seen.map(([key]) => key))
  expect([...map.values()]).toEqual(seen.map(([, value]) => value))
  expect(map.size).toBe(seen.length)
  expect(seen.filter(([key, value]) => map.get(key) !== value || !map.has(key))).toEqual([])
  return new Map(seen)
}

describe.each([
  ['a large map', large],
  [
    'a small map',
    () =>
      new Map([
        ['k1', 1],
        ['k2', 2],
      ]),
  ],
])('%s', (_, make) => {
  test('has what was written over it, and stays what it was', () => {
    const before = make()
    const origin = LayeredMap.of(before)
    const draft = origin.draft()
    draft.set('k1', 100)
    draft.set('new', 200)
    draft.delete('k2')
    draft.delete('never there')
    expect([draft.get('k1'), draft.get('k2'), draft.get('new')]).toEqual([100, undefined, 200])
    const after = draft.finish()
    expect(read(after)).toEqual(new Map([...[...make()].filter(([key]) => key !== 'k2'), ['k1', 100], ['new', 200]]))
    expect(read(origin)).toEqual(make())
    expect([after.get('k2'), after.has('k2'), after.get('nothing')]).toEqual([undefined, false, undefined])
  })

  test('nothing written is no new map', () => {
    const origin = LayeredMap.of(make())
    const draft = origin.draft()
    draft.delete('never there')
    expect(draft.finish()).toBe(origin)
    expect(LayeredMap.of(origin)).toBe(origin)
  })

  test('what was deleted comes again', () => {
    const draft = LayeredMap.of(make()).draft()
    draft.delete('k1')
    const gone = draft.finish()
    const again = gone.draft()
    again.set('k1', 7)
    expect([gone.get('k1'), again.finish().get('k1'), gone.size + 1]).toEqual([undefined, 7, again.finish().size])
  })
})

test('whatever is written, every state of it reads as a Map would, for good', () => {
  const random = new SeededRandom(11)
  const model = large()
  let map = LayeredMap.of<string, number>(large())
  const states: [LayeredMap<string, number>, Map<string, number>][] = []
  for (let round = 0; round < 60; round += 1) {
    const draft = map.draft()
    const changes = random.pick([0, 1, 3, 40, 2 * OVERLAY_ENTRIES_MAX])
    for (let change = 0; change < changes; change += 1) {
      const key = `k${random.integer(2 * LARGE)}`
      if (random.integer(2) === 0) {
        draft.delete(key)
        model.delete(key)
      } else {
        draft.set(key, round)
        model.set(key, round)
      }
      expect(draft.get(key)).toBe(model.get(key))
    }
    map = draft.finish()
    states.push([map, new Map(model)])
  }
  for (const [state, expected] of states) expect(read(state)).toEqual(expected)
})
