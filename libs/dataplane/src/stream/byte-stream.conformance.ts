import { BugError, CodedError, SeededRandom } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import { describe, expect, it } from 'vitest'
import { type ByteSink, type ByteStream, writeBorrowed } from './byte-stream.ts'

export interface StreamPair {
  readonly near: ByteStream
  readonly far: ByteStream
  dispose(): Promise<void> | void
}

/** Keeps everything that a stream tells, in order. */
export class Recorder implements ByteSink {
  readonly events: string[] = []
  readonly #chunks: Uint8Array[] = []
  bytes = 0
  drains = 0
  reason: CodedError | undefined
  onBytes: (chunk: Uint8Array) => void = () => {}

  onData(chunk: Uint8Array): void {
    this.bytes += chunk.length
    this.#chunks.push(chunk)
    if (this.events.at(-1) !== 'data') this.events.push('data')
    this.onBytes(chunk)
  }

  onEnd(): void {
    this.events.push('end')
  }

  onDrain(): void {
    this.drains += 1
  }

  onClose(reason: CodedError | undefined): void {
    this.events.push('close')
    this.reason = reason
  }

  get content(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get isClosed(): boolean {
    return this.events.includes('close')
  }
}

/** Takes borrowed chunks, as whoever moves bytes does: what it keeps it copies. */
export class Borrower extends Recorder {
  onBorrowed(chunk: Uint8Array): void {
    this.onData(new Uint8Array(chunk))
  }
}

const WHY = new CodedError('TEST_RESET', 'the test resets')

/** The promises that every ByteStream keeps. */
export function describeByteStream(name: string, open: () => Promise<StreamPair>): void {
  describe(`${name} keeps the promises of ByteStream:`, () => {
    const on = (work: (near: ByteStream, far: ByteStream) => Promise<void>) => async () => {
      const pair = await open()
      try {
        await work(pair.near, pair.far)
      } finally {
        await pair.dispose()
      }
    }

    it(
      'delivers every byte in order, both ways at once, as the reader takes them',
      on(async (near, far) => {
        const [sentByNear, sentByFar] = [randomBytes(1, 3_000_000), randomBytes(2, 2_000_000)]
        const [nearSink, farSink] = [new Recorder(), new Recorder()]
        startWriting(near, nearSink, sentByNear)
        startWriting(far, farSink, sentByFar)
        await eventually(() => nearSink.isClosed && farSink.isClosed)
        expect(farSink.content.equals(sentByNear)).toBe(true)
        expect(nearSink.content.equals(sentByFar)).toBe(true)
        expect(farSink.events).toEqual(['data', 'end', 'close'])
        expect([nearSink.reason, farSink.reason]).toEqual([undefined, undefined])
      }),
    )

    it(
      'carries chunks that are overwritten as soon as they are written, to a sink that gives them back at once',
      on(async (near, far) => {
        const [sentByNear, sentByFar] = [randomBytes(3, 3_000_000), randomBytes(4, 2_000_000)]
        const [nearSink, farSink] = [new Borrower(), new Borrower()]
        farSink.onBytes = () => {
          // Now and then the reader is slow.
          if (farSink.bytes % 5 !== 0) return
          far.pause()
          setImmediate(() => far.resume())
        }
        startWriting(near, nearSink, sentByNear, overwritten)
        startWriting(far, farSink, sentByFar, overwritten)
        await eventually(() => nearSink.isClosed && farSink.isClosed)
        expect(farSink.content.equals(sentByNear)).toBe(true)
        expect(nearSink.content.equals(sentByFar)).toBe(true)
        expect([nearSink.reason, farSink.reason]).toEqual([undefined, undefined])
      }),
    )

    it(
      'keeps the order of lent and borrowed chunks, and of the end behind them',
      on(async (near, far) => {
        const [nearSink, farSink] = [new Borrower(), new Recorder()]
        near.start(nearSink)
        far.start(farSink)
        const sizes = [10, 5_000, 60_000, 3, 70_000, 1]
        sizes.forEach((bytes, index) => {
          const chunk = Buffer.alloc(bytes, index)
          if (index % 2 === 0) overwritten(near, chunk)
          else near.write(chunk)
        })
        near.end()
        await eventually(() => farSink.events.includes('end'))
        const expected = Buffer.concat(sizes.map((bytes, index) => Buffer.alloc(bytes, index)))
        expect(farSink.content.equals(expected)).toBe(true)
      }),
    )

    it(
      'keeps the order of text and chunks, whose characters are bytes',
      on(async (near, far) => {
        const farSink = new Recorder()
        near.start(new Recorder())
        far.start(farSink)
        const write = (text: string) =>
          near.writeText ? near.writeText(text) : near.write(Buffer.from(text, 'latin1'))
        const sizes = [10, 3_000, 20, 3_000, 70_000, 1, 20_000]
        sizes.forEach((bytes, index) => {
          if (index % 2 === 0) write('\xe4'.repeat(bytes))
          else near.write(Buffer.alloc(bytes, index))
        })
        near.end()
        await eventually(() => farSink.events.includes('end'))
        const expected = Buffer.concat(sizes.map((bytes, index) => Buffer.alloc(bytes, index % 2 === 0 ? 0xe4 : index)))
        expect(farSink.content.equals(expected)).toBe(true)
      }),
    )

    it(
      'closes once when it is reset in the turn in which it was started',
      on(async (near, far) => {
        const [nearSink, farSink] = [new Recorder(), new Recorder()]
        far.start(farSink)
        near.start(nearSink)
        near.reset(WHY)
        expect(nearSink.events).toEqual([])
        await eventually(() => nearSink.isClosed && farSink.isClosed)
        await turns(5)
        expect([nearSink.events, farSink.events]).toEqual([['close'], ['close']])
      }),
    )

    it(
      'closes at both ends when it is reset while its end is under way, and hands on nothing more',
      on(async (near, far) => {
        const [nearSink, farSink] = [new Recorder(), new Recorder()]
        near.start(nearSink)
        far.start(farSink)
        near.write(Buffer.from('last words'))
        near.end()
        near.reset(WHY)
        near.resume()
        near.write(Buffer.from('ignored'))
        // Who has read the end of a TCP connection learns of a reset behind it by writing.
        await eventually(() => {
          far.write(Buffer.from('too late'))
          return nearSink.isClosed && farSink.isClosed
        })
        expect(nearSink.events).toEqual(['close'])
        expect([nearSink.reason, farSink.reason]).toEqual([WHY, expect.any(CodedError)])
      }),
    )

    it(
      'closes when it is reset while its end waits behind bytes that nobody reads',
      on(async (near, far) => {
        const nearSink = new Recorder()
        near.start(nearSink)
        far.start(new Recorder())
        far.pause()
        for (let index = 0; index < 64; index += 1) near.write(Buffer.alloc(262_144))
        near.end()
        await turns(5)
        near.reset(WHY)
        await eventually(() => nearSink.isClosed)
        expect([nearSink.events, nearSink.reason]).toEqual([['close'], WHY])
      }),
    )

    it(
      'calls a borrowed write after end a bug, and ignores one after a reset',
      on(async (near, far) => {
        near.start(new Recorder())
        far.start(new Recorder())
        near.end()
        expect(() => writeBorrowed(near, Buffer.alloc(10_000))).toThrow(BugError)
        far.reset(WHY)
        writeBorrowed(far, Buffer.alloc(10_000))
      }),
    )

    it(
      'delivers nothing before start',
      on(async (near, far) => {
        near.start(new Recorder())
        near.write(Buffer.from('early'))
        const sink = new Recorder()
        await turns()
        expect(sink.events).toEqual([])
        far.start(sink)
        expect(sink.events).toEqual([])
        await eventually(() => sink.content.toString() === 'early')
      }),
    )

    it(
      'ends each direction by itself',
      on(async (near, far) => {
        const [nearSink, farSink] = [new Recorder(), new Recorder()]
        near.start(nearSink)
        far.start(farSink)
        near.end()
        await eventually(() => farSink.events.includes('end'))
        far.write(Buffer.from('still here'))
        await eventually(() => nearSink.content.toString() === 'still here')
        expect(nearSink.events).toEqual(['data'])
        far.end()
        await eventually(() => nearSink.isClosed && farSink.isClosed)
        expect(nearSink.events).toEqual(['data', 'end', 'close'])
        expect(farSink.events).toEqual(['end', 'close'])
      }),
    )

    it(
      'holds the writer back while the reader pauses, and goes on when it resumes',
      on(async (near, far) => {
        const [nearSink, farSink] = [new Recorder(), new Recorder()]
        near.start(nearSink)
        far.start(farSink)
        far.pause()
        const chunk = Buffer.alloc(65_536, 'p')
        let written = 0
        const limit = 64 * 1024 * 1024
        for (let blocked = false; !blocked && written < limit; ) {
          blocked = !near.write(Buffer.from(chunk))
          written += chunk.length
          await turns()
          if (blocked && near.bufferedBytes === 0) blocked = false
        }
        expect(written).toBeLessThan(limit)
        expect(farSink.bytes).toBe(0)
        far.resume()
        await eventually(() => farSink.bytes === written)
        expect(nearSink.drains).toBeGreaterThan(0)
      }),
    )

    it(
      'tells of the drain also who wrote on after a stop',
      on(async (near, far) => {
        const [nearSink, farSink] = [new Recorder(), new Recorder()]
        farSink.onBytes = () => far.pause()
        near.start(nearSink)
        far.start(farSink)
        far.pause()
        let written = 0
        for (let stopped = false; !stopped; written += 10_000) stopped = !near.write(Buffer.alloc(10_000))
        far.resume()
        await turns()
        near.write(Buffer.alloc(1))
        farSink.onBytes = () => {}
        far.resume()
        await eventually(() => farSink.bytes === written + 1)
        await eventually(() => nearSink.drains > 0)
      }),
    )

    it(
      'delivers one chunk at most after a pause from inside onData',
      on(async (near, far) => {
        const sink = new Recorder()
        sink.onBytes = () => far.pause()
        near.start(new Recorder())
        far.start(sink)
        for (let index = 0; index < 20; index += 1) near.write(Buffer.alloc(100_000))
        await eventually(() => sink.bytes > 0)
        const { bytes } = sink
        await turns()
        expect(sink.bytes).toBe(bytes)
      }),
    )

    it(
      'tells both ends of a reset, once, and never from inside the call',
      on(async (near, far) => {
        const [nearSink, farSink] = [new Recorder(), new Recorder()]
        near.start(nearSink)
        far.start(farSink)
        near.write(Buffer.from('x'))
        await eventually(() => farSink.bytes === 1)
        near.reset(WHY)
        expect(nearSink.isClosed).toBe(false)
        near.reset(new CodedError('TEST_SECOND', 'too late'))
        await eventually(() => nearSink.isClosed && farSink.isClosed)
        expect(nearSink.reason).toBe(WHY)
        expect(farSink.reason).toBeInstanceOf(CodedError)
        expect(nearSink.events.filter((event) => event === 'close')).toHaveLength(1)
        near.write(Buffer.from('ignored'))
        near.end()
      }),
    )

    it(
      'tells of a close that came before start',
      on(async (near, far) => {
        near.start(new Recorder())
        near.reset(WHY)
        await turns()
        await turns()
        const sink = new Recorder()
        far.start(sink)
        expect(sink.isClosed).toBe(false)
        await eventually(() => sink.isClosed)
        expect(sink.events).toEqual(['close'])
      }),
    )

    it(
      'calls a write after end a bug',
      on(async (near, far) => {
        near.start(new Recorder())
        far.start(new Recorder())
        near.end()
        expect(() => near.write(Buffer.from('x'))).toThrow(BugError)
      }),
    )
  })
}

/** Writes a chunk and spoils it. */
function overwritten(stream: ByteStream, chunk: Buffer): boolean {
  const goOn = writeBorrowed(stream, chunk)
  chunk.fill(0xee)
  return goOn
}

/** Writes `content` in pieces of many sizes, stopping when told to, and half-closes. */
export function startWriting(
  stream: ByteStream,
  sink: Recorder,
  content: Buffer,
  write: (stream: ByteStream, piece: Buffer) => boolean = (to, piece) => to.write(piece),
): void {
  const random = new SeededRandom(content.length)
  let at = 0
  const more = () => {
    while (at < content.length) {
      const bytes = 1 + random.integer(random.next() < 0.1 ? 200_000 : 2_000)
      const piece = Buffer.from(content.subarray(at, at + bytes))
      at += piece.length
      if (!write(stream, piece)) return
    }
    stream.end()
  }
  sink.onDrain = () => {
    sink.drains += 1
    if (at < content.length) more()
    else stream.end()
  }
  stream.start(sink)
  more()
}

export function randomBytes(seed: number, bytes: number): Buffer {
  const random = new SeededRandom(seed)
  const content = Buffer.alloc(bytes)
  for (let at = 0; at + 4 <= bytes; at += 4) content.writeUInt32LE(random.integer(2 ** 32), at)
  return content
}

/** Lets everything that is under way in this process go on for a few turns of the event loop. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
