import { CodedError } from '@ambient-lab/std'
import { expect, test } from 'vitest'
import { checkStore } from './check.ts'

const full = new CodedError('INTERNAL', 'database or disk is full')
const forbidden = new CodedError('FORBIDDEN', 'configmaps is forbidden')

test.each<[string, CodedError | undefined, CodedError | undefined, 'ok' | 'FAIL', string]>([
  ['takes writes', undefined, undefined, 'ok', 'its store takes writes'],
  ['is full', full, undefined, 'FAIL', 'its store takes no writes: database or disk is full'],
  ['is full a moment later', undefined, full, 'FAIL', 'its store takes no writes: database or disk is full'],
  [
    'is not this user’s to write',
    forbidden,
    undefined,
    'ok',
    'whether its store takes writes is not known: this user may not write',
  ],
])('a store that %s', async (_, onCreate, onDelete, level, text) => {
  const there = new Set<string>()
  const client = {
    create: async (_type: unknown, object: { metadata: { name: string } }) => {
      if (onCreate) throw onCreate
      there.add(object.metadata.name)
      return object
    },
    delete: async (_type: unknown, { name }: { name?: string }) => {
      if (onDelete) throw onDelete
      there.delete(name!)
    },
  }
  const found = await checkStore({ client: client as never, nowMs: 7 }, new AbortController().signal)
  expect(found).toMatchObject({ stage: 'control plane', level, text })
  expect(found.next !== undefined).toBe(level === 'FAIL')
  if (level === 'ok') expect(there.size).toBe(0)
})
