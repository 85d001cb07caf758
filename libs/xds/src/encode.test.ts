import { VirtualClock } from '@ambient-lab/std'
import { expect, it } from 'vitest'
import { DeltaEncoder } from './encode.ts'
import { ENCODED_CHARACTERS_MAX, ENCODED_KEPT_MS } from './limits.ts'
import type { Delta } from './messages.ts'
import { ADDRESS_TYPE } from './resources/index.ts'

function delta(nonce: string, ...resources: unknown[]): Delta {
  const upserts = resources.map((resource, index) => ({ name: `a"${index}`, version: `v${index}`, resource }))
  return { type: 'delta', typeUrl: ADDRESS_TYPE, nonce, upserts, removed: ['gone'], systemVersion: '7' }
}

/** Counts how often it is written. */
function counted(value: unknown): { toJSON(): unknown; written: number } {
  return {
    written: 0,
    toJSON() {
      this.written += 1
      return value
    },
  }
}

it('is what JSON says', () => {
  const { encode } = new DeltaEncoder(new VirtualClock())
  for (const message of [delta('1'), delta('2', { a: 1 }), delta('3', { a: 'ü"' }, ['x'], null)]) {
    expect(JSON.parse(encode(message))).toEqual(message)
  }
  const call = { type: 'call', id: 1, method: 'log', params: { uid: 'x' } } as never
  expect(encode(call)).toBe(JSON.stringify(call))
})

it('writes a resource once for all who are told of it, and forgets it a moment later', async () => {
  const clock = new VirtualClock()
  const { encode } = new DeltaEncoder(clock)
  const resource = counted({ a: 1 })
  for (let agent = 0; agent < 20; agent += 1) expect(encode(delta(String(agent), resource))).toContain('{"a":1}')
  expect(resource.written).toBe(1)
  await clock.advance(ENCODED_KEPT_MS)
  encode(delta('1', resource))
  expect(resource.written).toBe(2)
})

it('keeps no more than it may', () => {
  const { encode } = new DeltaEncoder(new VirtualClock())
  const [first, second] = [
    counted('x'.repeat(ENCODED_CHARACTERS_MAX / 2)),
    counted('y'.repeat(ENCODED_CHARACTERS_MAX / 2)),
  ]
  encode(delta('1', first, second))
  encode(delta('2', first))
  expect([first.written, second.written]).toEqual([2, 1])
})
