import { SeededRandom } from '@ambient-lab/std'
import { expect, test } from 'vitest'
import { GrpcMessageCounter } from './message-counter.ts'

function message(length: number, flags = 0): Buffer {
  const bytes = Buffer.alloc(5 + length, 0xff)
  bytes[0] = flags
  bytes.writeUInt32BE(length, 1)
  return bytes
}

function counted(...pieces: Uint8Array[]): number {
  const counter = new GrpcMessageCounter()
  for (const piece of pieces) counter.add(piece)
  return counter.count
}

test.each([
  ['nothing', [], 0],
  ['an empty piece', [Buffer.alloc(0)], 0],
  ['one', [message(3)], 1],
  ['empty ones', [Buffer.concat([message(0), message(0), message(0)])], 3],
  ['a compressed one', [message(7, 1)], 1],
  ['one that has begun', [message(3).subarray(0, 1)], 1],
  ['one whose length is cut', [message(300).subarray(0, 3), message(300).subarray(3)], 1],
  ['one whose payload looks like prefixes', [message(20).fill(0, 5)], 1],
  ['one of four GiB, and nothing after it', [Buffer.from([0, 255, 255, 255, 255]), message(3), message(3)], 1],
])('%s', (_, pieces, expected) => {
  expect(counted(...pieces)).toBe(expected)
})

test('however messages are cut, they are as many', () => {
  const random = new SeededRandom(3)
  for (let round = 0; round < 500; round += 1) {
    const lengths = Array.from({ length: 1 + random.integer(20) }, () => random.pick([0, 1, 4, 5, 255, 256, 70_000]))
    const bytes = Buffer.concat(lengths.map((length) => message(length, random.integer(2))))
    const counter = new GrpcMessageCounter()
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + random.integer(random.pick([1, 6, 1000, 100_000]))
      counter.add(bytes.subarray(at, end))
      at = end
    }
    expect(counter.count).toBe(lengths.length)
  }
})

test('what was taken is not taken again', () => {
  const counter = new GrpcMessageCounter()
  counter.add(message(1))
  expect([counter.takeNew(), counter.takeNew()]).toEqual([1, 0])
  counter.add(Buffer.concat([message(1), message(1)]))
  expect([counter.takeNew(), counter.count]).toEqual([2, 3])
})
