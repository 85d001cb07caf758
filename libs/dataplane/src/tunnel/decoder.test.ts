import { CodedError, SeededRandom } from '@ambient-lab/std'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { randomBytes } from '../stream/byte-stream.conformance.ts'
import { Decoder, type FrameHandler } from './decoder.ts'
import { encodeFrame, encodeNumbers, FRAME, type FrameType, readText, readU32, writeHead } from './frame.ts'

type Found = { type: FrameType; stream: number; payload: Buffer } | 'ping' | 'close'

/** Puts DATA together again, so that what came out can be compared with what went in. */
class Collector implements FrameHandler {
  readonly found: Found[] = []
  pieces: Uint8Array[] = []
  #left = 0

  onFrame(type: FrameType, stream: number, payload: Uint8Array): void {
    this.found.push({ type, stream, payload: Buffer.from(payload) })
  }

  onDataHead(stream: number, bytes: number): void {
    expect(this.#left).toBe(0)
    this.#left = bytes
    this.found.push({ type: FRAME.DATA, stream, payload: Buffer.alloc(0) })
  }

  onData(stream: number, piece: Uint8Array): void {
    this.#left -= piece.length
    expect(this.#left).toBeGreaterThanOrEqual(0)
    this.pieces.push(piece)
    const frame = this.found.at(-1) as { stream: number; payload: Buffer }
    expect(frame.stream).toBe(stream)
    frame.payload = Buffer.concat([frame.payload, piece])
  }

  onWebSocketPing(): void {
    this.found.push('ping')
  }

  onWebSocketClose(): void {
    this.found.push('close')
  }
}

const frame = (type: FrameType, stream: number, payload: Uint8Array = Buffer.alloc(0), masked = false) =>
  Buffer.from(encodeFrame(masked, type, stream, payload))

/** A whole WebSocket message with a frame inside that is in order (FIN on stream 1), every field free. */
function message(init: {
  first?: number
  second?: number
  length?: number[]
  mask?: number[]
  body?: number[]
}): Buffer {
  const { first = 0x82, second = 5, length = [], mask = [], body = [FRAME.FIN, 0, 0, 0, 1] } = init
  return Buffer.from([first, second, ...length, ...mask, ...body])
}

function decode(input: Buffer, masked = false, cut: (left: number) => number = (left) => left): Collector {
  const collector = new Collector()
  const decoder = new Decoder(collector, masked)
  for (let at = 0; at < input.length; ) {
    const bytes = Math.max(1, Math.min(input.length - at, cut(input.length - at)))
    decoder.push(input.subarray(at, at + bytes))
    at += bytes
  }
  return collector
}

const MALFORMED: readonly { what: string; input: Buffer; masked?: boolean; code?: string }[] = [
  { what: 'a text message', input: message({ first: 0x81 }) },
  { what: 'a continuation', input: message({ first: 0x80 }) },
  { what: 'the first fragment of a message', input: message({ first: 0x02 }) },
  { what: 'reserved bit 1 (compression)', input: message({ first: 0xc2 }) },
  { what: 'reserved bit 3', input: message({ first: 0x92 }) },
  { what: 'a reserved type of message', input: message({ first: 0x83 }) },
  { what: 'a fragmented ping', input: Buffer.from([0x09, 0]) },
  { what: 'a ping that is too long', input: Buffer.from([0x89, 126, 0, 126]) },
  { what: 'a mask where none belongs', input: message({ second: 0x85, mask: [0, 0, 0, 0] }) },
  { what: 'no mask where one belongs', input: message({}), masked: true },
  { what: 'an empty message', input: message({ second: 0, body: [] }) },
  { what: 'a message without a whole head', input: message({ second: 4, body: [3, 0, 0, 0] }) },
  {
    what: 'a message of 4 GiB',
    input: message({ second: 127, length: [0, 0, 0, 1, 0, 0, 0, 0] }),
    code: 'FRAME_TOO_LARGE',
  },
  {
    what: 'a length with its highest bit set',
    input: message({ second: 127, length: [0x80, 0, 0, 0, 0, 0, 0, 5] }),
    code: 'FRAME_TOO_LARGE',
  },
  { what: 'an unknown type of frame', input: message({ body: [10, 0, 0, 0, 1] }) },
  { what: 'DATA of 0 bytes', input: frame(FRAME.DATA, 1) },
  { what: 'DATA on the connection', input: frame(FRAME.DATA, 0, Buffer.from('x')) },
  {
    what: 'DATA beyond 1 MiB',
    input: message({ second: 127, length: [0, 0, 0, 0, 0, 16, 0, 6] }),
    code: 'FRAME_TOO_LARGE',
  },
  { what: 'CONNECT beyond 16 KiB', input: frame(FRAME.CONNECT, 1, Buffer.alloc(16_385)), code: 'FRAME_TOO_LARGE' },
  { what: 'RESPONSE beyond 16 KiB', input: frame(FRAME.RESPONSE, 1, Buffer.alloc(16_385)), code: 'FRAME_TOO_LARGE' },
  { what: 'CONNECT on the connection', input: frame(FRAME.CONNECT, 0, Buffer.from('{}')) },
  { what: 'a short WINDOW', input: frame(FRAME.WINDOW, 1, Buffer.alloc(3)) },
  { what: 'a long WINDOW', input: frame(FRAME.WINDOW, 1, Buffer.alloc(5)), code: 'FRAME_TOO_LARGE' },
  { what: 'FIN with a payload', input: frame(FRAME.FIN, 1, Buffer.from('x')), code: 'FRAME_TOO_LARGE' },
  { what: 'FIN on the connection', input: frame(FRAME.FIN, 0) },
  { what: 'RESET without a code', input: frame(FRAME.RESET, 1, Buffer.alloc(3)) },
  { what: 'RESET with an endless reason', input: frame(FRAME.RESET, 1, Buffer.alloc(600)), code: 'FRAME_TOO_LARGE' },
  { what: 'PING on a stream', input: frame(FRAME.PING, 1, Buffer.alloc(8)) },
  { what: 'a short PING', input: frame(FRAME.PING, 0, Buffer.alloc(7)) },
  { what: 'a short GOAWAY', input: frame(FRAME.GOAWAY, 0, Buffer.alloc(7)) },
  { what: 'GOAWAY on a stream', input: frame(FRAME.GOAWAY, 3, Buffer.alloc(8)) },
  { what: 'short SETTINGS', input: frame(FRAME.SETTINGS, 0, Buffer.alloc(8)) },
]

describe('Decoder', () => {
  it.each(MALFORMED)('refuses $what', ({ input, masked = false, code = 'FRAME_MALFORMED' }) => {
    for (const cut of [() => 1, (left: number) => left]) {
      expect(() => decode(input, masked, cut)).toThrow(expect.objectContaining({ code }))
    }
  })

  it('takes the message that those are made of', () => {
    expect(decode(message({})).found).toMatchObject([{ type: FRAME.FIN, stream: 1 }])
    expect(decode(message({ second: 0x85, mask: [0, 0, 0, 0] }), true).found).toHaveLength(1)
  })

  it('refuses a frame by its head, before its payload is there', () => {
    const head = frame(FRAME.CONNECT, 1, Buffer.alloc(16_385)).subarray(0, 9)
    expect(() => decode(head)).toThrow(expect.objectContaining({ code: 'FRAME_TOO_LARGE' }))
  })

  const sizes = [1, 2, 100, 119, 120, 121, 125, 126, 127, 65_529, 65_530, 65_531, 65_536, 1_048_576]
  it.each([true, false])('finds DATA of every size again (masked: %s)', (masked) => {
    const payloads = sizes.map((bytes) => randomBytes(bytes, bytes))
    const input = Buffer.concat(payloads.map((payload, index) => frame(FRAME.DATA, 2 * index + 1, payload, masked)))
    const { found } = decode(input, masked)
    expect(found).toHaveLength(sizes.length)
    found.forEach((one, index) => {
      const { stream, payload } = one as Exclude<Found, string>
      expect(stream).toBe(2 * index + 1)
      expect(payload.equals(payloads[index]!)).toBe(true)
    })
  })

  it('finds the same frames however the network cuts them', () => {
    const frameOf = fc.oneof(
      fc.record({
        type: fc.constant(FRAME.DATA),
        stream: fc.integer({ min: 1, max: 2 ** 31 }),
        payload: fc.uint8Array({ minLength: 1, maxLength: 300 }),
      }),
      fc.record({
        type: fc.constant(FRAME.FIN),
        stream: fc.integer({ min: 1, max: 9 }),
        payload: fc.constant(new Uint8Array(0)),
      }),
      fc.record({
        type: fc.constant(FRAME.CONNECT),
        stream: fc.integer({ min: 1, max: 9 }),
        payload: fc.uint8Array({ minLength: 2, maxLength: 400 }),
      }),
      fc.record({
        type: fc.constant(FRAME.PING),
        stream: fc.constant(0),
        payload: fc.uint8Array({ minLength: 8, maxLength: 8 }),
      }),
    )
    fc.assert(
      fc.property(fc.array(frameOf, { maxLength: 20 }), fc.boolean(), fc.integer(), (frames, masked, seed) => {
        const random = new SeededRandom(seed)
        const input = Buffer.concat(
          frames.map(({ type, stream, payload }) => frame(type, stream, Buffer.from(payload), masked)),
        )
        const { found } = decode(input, masked, () => random.integer(random.pick([2, 20, 2000])))
        expect(found).toEqual(
          frames.map(({ type, stream, payload }) => ({ type, stream, payload: Buffer.from(payload) })),
        )
      }),
      { numRuns: 300, seed: 1 },
    )
  })

  it('meets any bytes with frames or an error of its own, never with anything else', () => {
    const noise = fc.uint8Array({ maxLength: 200 })
    const almost = fc.tuple(fc.constantFrom(0x82, 0x89, 0x88), fc.integer({ min: 0, max: 255 }), noise)
    fc.assert(
      fc.property(
        fc.oneof(
          noise.map((bytes) => [...bytes]),
          almost.map(([first, second, bytes]) => [first, second, ...bytes]),
        ),
        fc.boolean(),
        (bytes, masked) => {
          try {
            decode(Buffer.from(bytes), masked, () => 7)
          } catch (error) {
            expect(CodedError.is(error)).toBe(true)
          }
        },
      ),
      { numRuns: 5000, seed: 2 },
    )
  })

  it('hands DATA on as views of what arrived', () => {
    const input = frame(FRAME.DATA, 1, randomBytes(1, 50_000))
    const { pieces } = decode(input, false, () => 16_384)
    expect(pieces).toHaveLength(4)
    for (const piece of pieces) expect(piece.buffer).toBe(input.buffer)
  })

  it('undoes a mask that changes bytes, as a WebSocket library applies it', () => {
    const key = [0x12, 0x34, 0x56, 0x78]
    const plain = [FRAME.DATA, 0, 0, 0, 9, ...Buffer.from('masked bytes')]
    const body = plain.map((byte, index) => byte ^ key[index % 4]!)
    const { found } = decode(message({ second: 0x80 | plain.length, mask: key, body }), true, () => 3)
    expect(found).toEqual([{ type: FRAME.DATA, stream: 9, payload: Buffer.from('masked bytes') }])
  })

  it('finds WebSocket pings and closes between frames', () => {
    const input = Buffer.concat([
      Buffer.from([0x89, 2, 1, 2]),
      frame(FRAME.FIN, 1),
      Buffer.from([0x8a, 0]),
      Buffer.from([0x88, 0]),
    ])
    expect(decode(input, false, () => 1).found).toEqual([
      'ping',
      { type: FRAME.FIN, stream: 1, payload: Buffer.alloc(0) },
      'close',
    ])
  })
})

describe('frame', () => {
  it.each([0, 1, 255, 65_536, 0x7fff_ffff, 0xffff_ffff])('writes and reads %i as four bytes', (number) => {
    expect(readU32(encodeNumbers([number]), 0)).toBe(number)
  })

  it('cuts a long reason and takes line breaks out of it', () => {
    const payload = encodeNumbers([1], `a\nb\u001b[31m${'é'.repeat(1000)}`)
    expect(payload.length).toBe(4 + 512)
    expect(readText(payload, 4)).toMatch(/^a b \[31mé+/)
  })

  it('stands before its payload without a gap', () => {
    const target = Buffer.alloc(64)
    const at = writeHead(target, 3, { type: FRAME.DATA, stream: 5, bytes: 7, masked: true })
    expect([...target.subarray(3, at)]).toEqual([0x82, 0x80 | 12, 0, 0, 0, 0, FRAME.DATA, 0, 0, 0, 5])
  })
})
