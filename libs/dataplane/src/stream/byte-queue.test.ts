import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { ByteQueue } from './byte-queue.ts'
import { randomBytes } from './byte-stream.conformance.ts'

describe('ByteQueue', () => {
  it('gives back what was put in, whatever the sizes on either side', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = new SeededRandom(seed)
      const content = randomBytes(seed, 20_000)
      const output = Buffer.alloc(content.length)
      const queue = new ByteQueue()
      let [pushed, taken] = [0, 0]
      while (taken < content.length) {
        if (pushed < content.length && random.next() < 0.6) {
          const bytes = Math.min(content.length - pushed, 1 + random.integer(random.pick([3, 100, 3000])))
          queue.push(content.subarray(pushed, pushed + bytes))
          pushed += bytes
        } else if (random.next() < 0.3) {
          const chunk = queue.shift()
          if (chunk) taken += output.set(chunk, taken) ?? chunk.length
        } else {
          const bytes = random.integer(queue.bytes + 1)
          taken = queue.takeInto(output, taken, bytes)
        }
        expect(queue.bytes).toBe(pushed - taken)
      }
      expect(output.equals(content)).toBe(true)
    }
  })

  it('copies what is only borrowed, in spare blocks that it does not give away while somebody looks', () => {
    for (let seed = 1; seed <= 100; seed += 1) {
      const random = new SeededRandom(seed)
      const content = randomBytes(seed, 600_000)
      const output = Buffer.alloc(content.length)
      const [queue, neighbour] = [new ByteQueue(), new ByteQueue()]
      let [pushed, taken] = [0, 0]
      while (taken < content.length) {
        if (pushed < content.length && random.next() < 0.6) {
          const bytes = Math.min(content.length - pushed, 1 + random.integer(random.pick([3, 10_000, 60_000])))
          const borrowed = Buffer.from(content.subarray(pushed, pushed + bytes))
          queue.pushCopy(borrowed)
          borrowed.fill(0xee)
          pushed += bytes
        } else if (random.next() < 0.5) {
          const chunk = queue.shift()
          // Whoever takes a spare block meanwhile must not get this one.
          neighbour.pushCopy(Buffer.alloc(20_000, 0xdd))
          if (chunk) taken += output.set(chunk, taken) ?? chunk.length
          if (random.next() < 0.5) queue.settle()
          if (random.next() < 0.2) neighbour.clear()
        } else {
          taken = queue.takeInto(output, taken, random.integer(queue.bytes + 1))
        }
      }
      expect(output.equals(content)).toBe(true)
    }
  })

  it('keeps large chunks as they are', () => {
    const queue = new ByteQueue()
    const chunks = Array.from({ length: 20 }, () => Buffer.alloc(2000))
    for (const chunk of chunks) queue.push(chunk)
    for (const chunk of chunks) expect(queue.shift()).toBe(chunk)
  })

  it('holds a hundred thousand tiny chunks in little more than their bytes', () => {
    const queue = new ByteQueue()
    for (let index = 0; index < 100_000; index += 1) queue.push(Uint8Array.of(index))
    let chunks = 0
    while (queue.shift()) chunks += 1
    expect(chunks).toBeLessThan(40)
  })
})
