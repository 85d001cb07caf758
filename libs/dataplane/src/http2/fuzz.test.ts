import { type Random, SeededRandom } from '@ambient-lab/std'
import { expect, it } from 'vitest'
import { HeaderMap } from '../http1/headers.ts'
import { FLAG, FRAME } from './frame.ts'
import {
  block,
  ClientHarness,
  END,
  frame,
  HELLO,
  PSEUDO,
  ServerHarness,
  setting,
  words,
} from './raw-peer.conformance.ts'

/** Two seconds on a quiet machine. `HTTP2_FUZZ_RUNS` and `HTTP2_FUZZ_SEED` are for longer nights. */
const RUNS = Number(process.env.HTTP2_FUZZ_RUNS ?? 600)
const SEED = Number(process.env.HTTP2_FUZZ_SEED ?? 1)
const FRAMES_MAX = 40

const REQUESTS = [
  block(...PSEUDO),
  block(...PSEUDO, ['content-length', '5']),
  block(...PSEUDO, ['cookie', 'a=b'], ['te', 'trailers']),
  block(...PSEUDO, ['connection', 'close']),
  block([':method', 'GET'], [':path', '/']),
  block(['x-trailer', 'a']),
  Buffer.from([0x82, 0x84, 0x86, 0x41, 1, 0x61]),
  Buffer.from([0x82, 0x84, 0x86, 0xbe]),
  Buffer.from([0x3f, 0xe1, 0x1f, 0x82, 0x84, 0x86]),
  Buffer.from([0x80]),
]
const RESPONSES = [
  block([':status', '200']),
  block([':status', '200'], ['content-length', '5']),
  block([':status', '100']),
  block([':status', '204']),
  block(['grpc-status', '0']),
  Buffer.from([0x88]),
  Buffer.from([0x89, 0x40, 1, 0x61, 1, 0x62]),
  Buffer.from([0xbe]),
]

/** Mostly what may be: streams are opened, get bodies and end; now and then something that should not be. */
class Generator {
  readonly #random: Random
  readonly #blocks: readonly Buffer[]
  /** The last stream that there may be: a server answers what was asked. */
  readonly #last: number
  readonly #open: number[] = []
  #next = 1

  constructor(random: Random, blocks: readonly Buffer[], last: number) {
    this.#random = random
    this.#blocks = blocks
    this.#last = last
  }

  next(): Buffer {
    const random = this.#random
    if (random.integer(16) === 0) return this.#odd()
    const at = random.integer(this.#open.length + 1)
    const stream = this.#open[at]
    if (stream === undefined) return this.#next <= this.#last ? this.#head() : frame(FRAME.PING, 0, 0, 'pingpong')
    switch (random.integer(8)) {
      case 0:
      case 1:
        return frame(FRAME.DATA, 0, stream, this.#one(['', 'hello', 'hello']))
      case 2:
        return frame(FRAME.DATA, FLAG.PADDED, stream, '\x02helloPP')
      case 3:
        return frame(FRAME.WINDOW_UPDATE, 0, random.integer(2) * stream, words(this.#one([1, 1000, 100_000])))
      case 4:
        return setting(random.integer(8), this.#one([0, 1, 100, 4096, 16_384, 65_535]))
      case 5:
        this.#open.splice(at, 1)
        return frame(FRAME.RST_STREAM, 0, stream, words(random.integer(14)))
      case 6:
        this.#open.splice(at, 1)
        return frame(FRAME.HEADERS, END, stream, block(['x-trailer', 'a']))
      default:
        this.#open.splice(at, 1)
        return frame(FRAME.DATA, FLAG.END_STREAM, stream, this.#one(['', 'hello', 'x'.repeat(3000)]))
    }
  }

  #head(): Buffer {
    const id = this.#next
    this.#next += 2
    const fields = this.#random.integer(4) > 0 ? this.#blocks[0]! : this.#one(this.#blocks)
    if (this.#random.integer(3) === 0) return frame(FRAME.HEADERS, END, id, fields)
    this.#open.push(id)
    if (this.#random.integer(3) > 0) return frame(FRAME.HEADERS, FLAG.END_HEADERS, id, fields)
    const cut = this.#random.integer(fields.length)
    const rest = frame(FRAME.CONTINUATION, FLAG.END_HEADERS, id, fields.subarray(cut))
    return Buffer.concat([frame(FRAME.HEADERS, 0, id, fields.subarray(0, cut)), rest])
  }

  #odd(): Buffer {
    const random = this.#random
    const stream = random.integer(12) === 0 ? random.integer(2 ** 31) : random.integer(9)
    switch (random.integer(6)) {
      case 0:
        return frame(FRAME.HEADERS, random.integer(64), stream, this.#one(this.#blocks))
      case 1:
        return frame(FRAME.WINDOW_UPDATE, 0, stream, words(this.#one([0, 2 ** 31 - 1])))
      case 2:
        return setting(random.integer(8), this.#one([2 ** 31 - 1, 2 ** 31]))
      case 3:
        return frame(FRAME.CONTINUATION, random.integer(8), stream, this.#one(this.#blocks))
      case 4:
        return frame(FRAME.DATA, random.integer(16), stream, 'hello')
      default:
        return frame(
          random.integer(12),
          random.integer(64),
          stream,
          Buffer.alloc(random.integer(12), random.integer(256)),
        )
    }
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#random.integer(list.length)]!
  }
}

function mutated(random: Random, bytes: Buffer): Buffer {
  if (random.integer(4) > 0) return bytes
  const copy = Buffer.from(bytes)
  for (let times = random.integer(4); times >= 0; times -= 1) copy[random.integer(copy.length)] = random.integer(256)
  return random.integer(4) === 0 ? copy.subarray(0, random.integer(copy.length)) : copy
}

function randomFrames(random: Random, blocks: readonly Buffer[], last: number): Buffer {
  const generator = new Generator(random, blocks, last)
  const frames = Array.from({ length: random.integer(FRAMES_MAX) }, () => generator.next())
  return mutated(random, Buffer.concat([frame(FRAME.SETTINGS, 0, 0), ...frames]))
}

const cuts = (random: Random) => [
  (left: number) => left,
  () => 1,
  (left: number) => random.integer(Math.min(left, 60)) + 1,
]

it(`whatever a client sends, a server tells the same at any cut, and ends or goes on (seed ${SEED})`, () => {
  let requests = 0
  for (let run = 0; run < RUNS; run += 1) {
    const random = new SeededRandom(SEED).fork(`client ${run}`)
    const bytes = Buffer.concat([HELLO.subarray(0, 24), randomFrames(random, REQUESTS, Number.POSITIVE_INFINITY)])
    const answers = random.integer(3)
    const told = cuts(random).map((cut, index) => {
      const server = new ServerHarness()
      server.answer = ({ id }) => {
        if (answers > 0) server.respond(id, 'x'.repeat(40_000 * (answers - 1)), new HeaderMap([['x-a', 'b']]))
      }
      server.receive(bytes, cut, index === 2)
      server.session.onClose(undefined)
      expect(server.session.streamCount).toBe(0)
      return {
        events: server.events,
        goaway: server.goaway,
        frames: server.frames.map(({ type, stream, flags }) => [type, stream, flags]),
      }
    })
    for (const other of told.slice(1)) expect(other, `run ${run} of seed ${SEED}`).toEqual(told[0])
    requests += told[0]!.events.filter((event) => / end( |$)/.test(event)).length
  }
  // The generator is worth something only while much of it is taken.
  expect(requests).toBeGreaterThan(RUNS)
})

it(`whatever a server sends, a client tells the same at any cut, and ends or goes on (seed ${SEED})`, () => {
  let answers = 0
  for (let run = 0; run < RUNS; run += 1) {
    const random = new SeededRandom(SEED).fork(`server ${run}`)
    const bytes = randomFrames(random, RESPONSES, 7)
    const told = cuts(random).map((cut, index) => {
      const client = new ClientHarness()
      for (let id = 1; id < 8; id += 2) client.request(id === 3 ? 'HEAD' : 'POST').write(Buffer.from('hello'))
      client.receive(bytes, cut, index === 2)
      client.session.onClose(undefined)
      expect(client.session.streamCount).toBe(0)
      return { events: client.events, goaway: client.goaway }
    })
    for (const other of told.slice(1)) expect(other, `run ${run} of seed ${SEED}`).toEqual(told[0])
    answers += told[0]!.events.filter((event) => / end( |$)/.test(event)).length
  }
  expect(answers).toBeGreaterThan(RUNS)
})

it('a frame that is announced and never sent takes no room', () => {
  const server = ServerHarness.greeted()
  const head = frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, Buffer.alloc(16_384)).subarray(0, 12)
  expect(server.receive(head).goaway).toBeUndefined()
})
