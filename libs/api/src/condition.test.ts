import { VirtualClock } from '@ambient-lab/std'
import { expect, test } from 'vitest'
import { getCondition, isConditionTrue, setCondition, timestamp } from './condition.ts'

test('the transition time moves with the status only', () => {
  const at = (now: number) => ({ now: () => now })
  const first = setCondition([], { type: 'Ready', status: 'False', reason: 'Starting' }, at(0))
  expect(first).toEqual([
    { type: 'Ready', status: 'False', reason: 'Starting', lastTransitionTime: '1970-01-01T00:00:00Z' },
  ])
  const second = setCondition(first, { type: 'Ready', status: 'False', reason: 'Waiting' }, at(5000))
  expect(second[0]).toMatchObject({ reason: 'Waiting', lastTransitionTime: '1970-01-01T00:00:00Z' })
  const third = setCondition(second, { type: 'Ready', status: 'True', reason: 'Up' }, at(9000))
  expect(third[0]).toMatchObject({ lastTransitionTime: '1970-01-01T00:00:09Z' })
})

test('nothing new: the same list', () => {
  const clock = new VirtualClock()
  const conditions = setCondition([], { type: 'Ready', status: 'True' }, clock)
  expect(setCondition(conditions, { type: 'Ready', status: 'True' }, clock)).toBe(conditions)
})

test('reading', () => {
  const object = { status: { conditions: [{ type: 'Ready', status: 'True' }] } }
  expect(isConditionTrue(object, 'Ready')).toBe(true)
  expect(getCondition(object, 'Other')).toBeUndefined()
  expect(isConditionTrue({}, 'Ready')).toBe(false)
  expect(isConditionTrue({ status: { conditions: 'odd' } }, 'Ready')).toBe(false)
})

test('whole seconds', () => {
  expect(timestamp(1_500)).toBe('1970-01-01T00:00:01Z')
})
