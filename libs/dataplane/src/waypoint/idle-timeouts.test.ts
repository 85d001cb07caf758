import { VirtualClock } from '@ambient-lab/std'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HTTP2_ERROR } from '../http2/errors.ts'
import { FRAME, SETTING, STREAM_ID_MAX } from '../http2/frame.ts'
import { block, END, HELLO, headers, parseFrames, setting } from '../http2/raw-peer.conformance.ts'
import { MemoryPlainNetwork } from '../memory-plain-network.ts'
import { MemoryNetwork, MemoryTransport } from '../tunnel/memory-transport.ts'
import type { Program } from '../ztunnel/two-nodes.conformance.ts'
import { DOWNSTREAM_IDLE_TIMEOUT_MS, REQUEST_HEADERS_TIMEOUT_MS, STREAM_IDLE_TIMEOUT_MS } from './limits.ts'
import { MeshWithWaypoint } from './mesh-with-waypoint.conformance.ts'

const REQUEST = 'GET / HTTP/1.1\r\nhost: web\r\n\r\n'
/** Ways between the ends, and what else is not the timeout itself. */
const MARGIN_MS = 100

describe('a connection that nothing moves on', () => {
  let clock: VirtualClock
  let mesh: MeshWithWaypoint
  beforeEach(async () => {
    clock = new VirtualClock()
    const network = new MemoryNetwork()
    mesh = new MeshWithWaypoint({
      clock,
      network: new MemoryPlainNetwork({ clock }),
      transport: (svids) => new MemoryTransport({ network, clock, svids }),
      until: async (condition) => {
        expect(await clock.advanceUntil(condition, 30_000)).toBe(true)
      },
    })
    await mesh.start()
  })
  afterEach(() => mesh.stop())

  /** Just before `afterMs` nothing has happened; just after it, `isOver`. */
  async function expectEnd(afterMs: number, isOver: () => boolean): Promise<void> {
    await clock.advance(afterMs - MARGIN_MS)
    expect(isOver()).toBe(false)
    await clock.advance(2 * MARGIN_MS)
    expect(isOver()).toBe(true)
  }

  async function kept(): Promise<Program> {
    const program = await mesh.dial()
    await mesh.exchange(program, REQUEST)
    program.received = new Uint8Array()
    return program
  }

  it('is closed when no request came for the idle timeout', async () => {
    const program = await kept()
    await expectEnd(DOWNSTREAM_IDLE_TIMEOUT_MS, () => program.ended)
    expect(program.text).toBe('')
  })

  it('is refused when a head is begun and not finished, counted from its first byte', async () => {
    const program = await kept()
    await clock.advance(10 * REQUEST_HEADERS_TIMEOUT_MS)
    program.say('GET / HT')
    await expectEnd(REQUEST_HEADERS_TIMEOUT_MS, () => program.text.startsWith('HTTP/1.1 408 '))
    expect(mesh.lines.at(-1)).toBe('408 DPE request_header_timeout')
  })

  it('is answered when the backend is silent, also when the connection had waited long before', async () => {
    const program = await kept()
    for (const server of mesh.servers) server.handler = () => 'silence'
    await clock.advance(DOWNSTREAM_IDLE_TIMEOUT_MS / 2)
    program.say(REQUEST)
    await expectEnd(STREAM_IDLE_TIMEOUT_MS, () => program.text.startsWith('HTTP/1.1 504 '))
    expect(mesh.lines.at(-1)).toBe('504 SI stream_idle_timeout')
  })

  it('is answered a quarter late at most when something had moved', async () => {
    const program = await kept()
    program.say('POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 4\r\n\r\n')
    await clock.advance(STREAM_IDLE_TIMEOUT_MS / 2)
    program.say('ab')
    await clock.advance(STREAM_IDLE_TIMEOUT_MS - MARGIN_MS)
    expect(program.text).toBe('')
    await clock.advance(STREAM_IDLE_TIMEOUT_MS / 4 + 2 * MARGIN_MS)
    expect(program.text).toMatch(/^HTTP\/1\.1 408 /)
    expect(mesh.lines.at(-1)).toBe('408 SI stream_idle_timeout')
  })

  const frames = (program: Program) => parseFrames(Buffer.from(program.received))
  const GET = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'web'],
  ] as const

  it('is closed in two steps when it is of HTTP/2', async () => {
    const program = await mesh.dial()
    program.say(HELLO.toString('latin1'))
    program.say(headers(1, END, block(...GET)).toString('latin1'))
    await clock.advance(DOWNSTREAM_IDLE_TIMEOUT_MS)
    expect(frames(program).filter(({ type }) => type === FRAME.GOAWAY)).toEqual([])
    await clock.advance(STREAM_IDLE_TIMEOUT_MS + MARGIN_MS)
    expect(program.ended).toBe(true)
    const goodbyes = frames(program).filter(({ type }) => type === FRAME.GOAWAY)
    expect(goodbyes.map(({ payload }) => payload.readUInt32BE())).toEqual([STREAM_ID_MAX, 1])
  })

  it('loses an answer of HTTP/2 whose window never opens', async () => {
    const program = await mesh.dial()
    const hello = Buffer.concat([HELLO, setting(SETTING.INITIAL_WINDOW_SIZE, 0), headers(1, END, block(...GET))])
    program.say(hello.toString('latin1'))
    await clock.advance(STREAM_IDLE_TIMEOUT_MS)
    expect(frames(program).some(({ type }) => type === FRAME.HEADERS)).toBe(true)
    expect(frames(program).some(({ type }) => type === FRAME.RST_STREAM)).toBe(false)
    await clock.advance(STREAM_IDLE_TIMEOUT_MS / 2)
    const [reset] = frames(program).filter(({ type }) => type === FRAME.RST_STREAM)
    expect(reset?.payload.readUInt32BE()).toBe(HTTP2_ERROR.CANCEL)
  })
})
