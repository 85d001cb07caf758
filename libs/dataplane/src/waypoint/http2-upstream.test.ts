import { VirtualClock } from '@ambient-lab/std'
import type { Cluster } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HeaderMap } from '../http1/headers.ts'
import { FRAME } from '../http2/frame.ts'
import type { Http2Stream } from '../http2/http2-stream.ts'
import { frame } from '../http2/raw-peer.conformance.ts'
import { Http2ServerSession } from '../http2/server-session.ts'
import { MemoryPlainNetwork } from '../memory-plain-network.ts'
import type { PlainListener } from '../plain-network.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { MemoryNetwork, MemoryTransport } from '../tunnel/memory-transport.ts'
import type { Program } from '../ztunnel/two-nodes.conformance.ts'
import { clusterOfPod, MeshWithWaypoint } from './mesh-with-waypoint.conformance.ts'

const REQUEST = 'GET / HTTP/1.1\r\nhost: web\r\n\r\n'
/** So many turns are enough for an exchange through both tunnels. */
const STEPS_MIN = 40
const STEP_MS_MAX = 50
const NOTHING = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} }

/** Answers when it is told to, on as many connections as are opened; or hears nothing. */
class Backend {
  /** Of each connection the requests that wait for an answer. */
  readonly connections: Http2Stream[][] = []
  readonly #sessions = new Map<Http2Stream, Http2ServerSession>()
  closed = 0
  /** It takes the connection, says hello, and nothing after that. */
  isDeaf = false
  streamsMax = 100
  answersAtOnce = false
  readonly #clock: VirtualClock

  constructor(clock: VirtualClock) {
    this.#clock = clock
  }

  listen(network: MemoryPlainNetwork): Promise<PlainListener> {
    return network.listen({ host: '127.0.0.1', port: 0 }, (stream) => this.#serve(stream))
  }

  answerAll(): void {
    for (const waiting of this.connections) for (const stream of waiting.splice(0)) this.#answer(stream)
  }

  #serve(stream: ByteStream): void {
    const waiting: Http2Stream[] = []
    this.connections.push(waiting)
    const onClosed = () => {
      this.closed += 1
    }
    if (this.isDeaf) {
      stream.start({ ...NOTHING, onClose: onClosed })
      stream.write(frame(FRAME.SETTINGS, 0, 0))
      return
    }
    const { streamsMax } = this
    const session = new Http2ServerSession(
      { stream, clock: this.#clock },
      {
        streamsMax,
        handler: {
          onRequest: (request) => {
            request.sink = { onData() {}, onEnd() {}, onDrain() {}, onFailure() {} }
            this.#sessions.set(request, session)
            if (this.answersAtOnce) this.#answer(request)
            else waiting.push(request)
          },
          onClosed,
        },
      },
    )
    stream.start(session)
  }

  #answer(stream: Http2Stream): void {
    const head = { status: 200, headers: new HeaderMap(), framing: 'none', contentLength: 0 } as const
    this.#sessions.get(stream)!.respond(stream, head, true)
  }
}

let clock: VirtualClock
let mesh: MeshWithWaypoint
let backend: Backend
let listener: PlainListener
beforeEach(async () => {
  clock = new VirtualClock()
  const network = new MemoryNetwork()
  const plain = new MemoryPlainNetwork({ clock })
  mesh = new MeshWithWaypoint({
    clock,
    network: plain,
    transport: (svids) => new MemoryTransport({ network, clock, svids }),
    until: async (condition) => {
      expect(await clock.advanceUntil(condition, 30_000)).toBe(true)
    },
  })
  await mesh.start()
  backend = new Backend(clock)
  listener = await backend.listen(plain)
  mesh.targets.set('web-0', listener.address)
})
afterEach(async () => {
  await mesh.stop()
  await listener[Symbol.asyncDispose]()
})

const configure = (overrides: Partial<Cluster>) =>
  mesh.cluster({ ...clusterOfPod('web', 0), protocol: 'http2', ...overrides })

/** Frames leave with a turn of the event loop, which a virtual clock gives with each of its steps alone. */
async function pass(durationMs: number): Promise<void> {
  const stepMs = durationMs / Math.max(STEPS_MIN, durationMs / STEP_MS_MAX)
  for (let passedMs = 0; passedMs < durationMs; passedMs += stepMs) await clock.advance(stepMs)
}

async function ask(count: number): Promise<Program[]> {
  const programs: Program[] = []
  for (let index = 0; index < count; index += 1) {
    const program = await mesh.dial()
    program.say(REQUEST)
    programs.push(program)
  }
  await pass(10)
  return programs
}

const waiting = () => backend.connections.map(({ length }) => length)
const statuses = (programs: readonly Program[]) => programs.map(({ text }) => text.split(' ')[1])

describe('streams at once on a connection', () => {
  it('are as many as maxConcurrentStreams says; others get connections of their own, that are used again', async () => {
    configure({ http2: { maxConcurrentStreams: 2 } })
    const first = await ask(5)
    expect(waiting()).toEqual([2, 2, 1])
    backend.answerAll()
    await pass(10)
    expect(statuses(first)).toEqual(Array(5).fill('200'))
    const second = await ask(6)
    expect(waiting()).toEqual([2, 2, 2])
    backend.answerAll()
    await pass(10)
    expect(statuses(second)).toEqual(Array(6).fill('200'))
  })

  it('are as many as the peer allows, when that is less', async () => {
    backend.streamsMax = 1
    configure({ http2: { maxConcurrentStreams: 3 } })
    for (let count = 1; count <= 3; count += 1) {
      await ask(1)
      expect(waiting()).toEqual(Array(count).fill(1))
    }
  })

  it('wait for each other where there may be no other connection', async () => {
    configure({ http2: { maxConcurrentStreams: 1 }, circuitBreakers: { maxConnections: 1 } })
    const programs = await ask(3)
    for (let count = 1; count <= 3; count += 1) {
      expect(waiting()).toEqual([1])
      backend.answerAll()
      await pass(10)
      expect(statuses(programs).filter((status) => status === '200')).toHaveLength(count)
    }
    expect(backend.connections).toHaveLength(1)
  })

  it('are a hundred without a limit', async () => {
    configure({})
    await ask(3)
    expect(waiting()).toEqual([3])
  })
})

describe('a connection that has had its day', () => {
  beforeEach(() => {
    backend.answersAtOnce = true
  })

  it('by its requests is closed behind the last, and another takes over', async () => {
    configure({ maxRequestsPerConnection: 2 })
    for (const expected of [1, 1, 2, 2, 3]) {
      expect(statuses(await ask(1))).toEqual(['200'])
      expect(backend.connections).toHaveLength(expected)
    }
    await pass(2_000)
    expect(backend.closed).toBe(2)
  })

  it('by its age is closed when nothing is under way', async () => {
    configure({ maxConnectionDurationMs: 60_000 })
    await ask(1)
    backend.answersAtOnce = false
    await pass(30_000)
    const [late] = await ask(1)
    expect(waiting()).toEqual([1])
    await pass(60_000)
    expect(backend.closed).toBe(0)
    backend.answerAll()
    await pass(2_000)
    expect(statuses([late!])).toEqual(['200'])
    expect(backend.closed).toBe(1)
    await ask(1)
    expect(backend.connections).toHaveLength(2)
  })
})

describe('keepalive', () => {
  const keepalive = { intervalMs: 10_000, timeoutMs: 2_000 }

  it('finds out that a peer is gone, and its requests fail as with Envoy', async () => {
    backend.isDeaf = true
    configure({ http2: { keepalive } })
    const [program] = await ask(1)
    await pass(9_000)
    expect(program!.text).toBe('')
    await pass(5_000)
    expect(program!.text).toMatch(/^HTTP\/1\.1 503 /)
    expect(program!.text).toContain(
      'upstream connect error or disconnect/reset before headers. reset reason: connection termination',
    )
    expect(mesh.lines.at(-1)).toMatch(/^503 UC upstream_reset_before_response_started\{connection_termination/)
    expect(backend.closed).toBe(1)
    backend.isDeaf = false
    backend.answersAtOnce = true
    expect(statuses(await ask(1))).toEqual(['200'])
  })

  it('leaves a slow peer that answers PINGs alone, and a connection without requests open', async () => {
    configure({ http2: { keepalive }, idleTimeoutMs: 0 })
    const [program] = await ask(1)
    await pass(250_000)
    expect(program!.text).toBe('')
    backend.answerAll()
    await pass(600_000)
    expect(statuses([program!])).toEqual(['200'])
    expect(backend.closed).toBe(0)
  })

  it('is off unless it is asked for', async () => {
    backend.isDeaf = true
    configure({})
    const [program] = await ask(1)
    await pass(200_000)
    expect([program!.text, backend.closed]).toEqual(['', 0])
  })
})
