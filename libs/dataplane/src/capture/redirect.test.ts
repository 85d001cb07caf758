import { CodedError, VirtualClock } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { CAPTURE_EARLY_BYTES_MAX, CAPTURE_HANDSHAKE_TIMEOUT_MS } from '../limits.ts'
import { memoryPair } from '../stream/memory-stream.ts'
import type { LocalWorkload } from '../ztunnel/local-workload.ts'
import { Program } from '../ztunnel/two-nodes.conformance.ts'
import { type CapturedConnection, CaptureHandshake } from './redirect.ts'

const curl: LocalWorkload = {
  uid: 'curl',
  name: 'curl',
  namespace: 'default',
  identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'curl' },
  address: '10.244.1.4',
  captured: true,
  dialTarget: () => undefined,
}

function setUp() {
  const clock = new VirtualClock()
  const [near, far] = memoryPair({ clock })
  const captured: CapturedConnection[] = []
  new CaptureHandshake({
    source: curl,
    sourcePort: 41_000,
    stream: far,
    clock,
    onCaptured: (connection) => captured.push(connection),
  })
  const program = new Program(near)
  const send = async (...bytes: number[]) => {
    near.write(Uint8Array.from(bytes))
    await clock.advance(0)
  }
  return { clock, program, captured, send, settle: () => clock.advance(0) }
}

const GREETING = [5, 1, 0]
const REQUEST = [5, 1, 0, 3, 1, 97, 0, 80]
const ascii = (text: string) => [...Buffer.from(text)]
const CONNECT = ascii('CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n')

describe('CaptureHandshake', () => {
  it('takes SOCKS5 byte by byte', async () => {
    const { program, captured, send } = setUp()
    for (const byte of [...GREETING, ...REQUEST]) await send(byte)
    expect(captured).toMatchObject([
      { destination: { host: 'a', port: 80 }, sourceAddress: { address: '10.244.1.4', port: 41_000 } },
    ])
    expect([...program.received]).toEqual([5, 0])
  })

  it('keeps what a program sends early, and delivers it first', async () => {
    const { program, captured, send, settle } = setUp()
    await send(...GREETING, ...REQUEST, ...ascii('early '))
    await send(...ascii('bird'))
    const upstream = new Program(captured[0]!.accept())
    program.say('!')
    await settle()
    expect(upstream.text).toBe('early bird!')
    program.stream.end()
    await settle()
    expect(upstream.ended).toBe(true)
    upstream.say('ok')
    upstream.stream.end()
    await settle()
    expect(program.received.subarray(-2)).toEqual(Buffer.from('ok'))
    expect([program.closed, upstream.closed]).toEqual([true, true])
  })

  it('holds a program back that sends too much too early, and loses nothing of it', async () => {
    const { program, captured, send, settle } = setUp()
    await send(...CONNECT)
    const chunk = new Uint8Array(16 * 1024).fill(1)
    for (let count = 0; count < 16; count += 1) program.stream.write(chunk)
    await settle()
    expect(program.stream.bufferedBytes).toBeGreaterThan(16 * chunk.length - CAPTURE_EARLY_BYTES_MAX - 2 * chunk.length)
    const upstream = new Program(captured[0]!.accept())
    await settle()
    expect(upstream.received).toHaveLength(16 * chunk.length)
  })

  it('answers a rejection in the words of each protocol, and hangs up', async () => {
    const socks = setUp()
    await socks.send(...GREETING, ...REQUEST)
    socks.captured[0]!.reject('POLICY_DENIED', 'no')
    await socks.settle()
    expect([...socks.program.received.subarray(2, 4)]).toEqual([5, 2])
    expect(socks.program.ended).toBe(true)
    const http = setUp()
    await http.send(...CONNECT)
    http.captured[0]!.reject('CONNECT_TIMEOUT', 'too late')
    await http.settle()
    expect(http.program.text).toMatch(/^HTTP\/1.1 504 Gateway Timeout\r\nx-ambient-reason: too late \(/)
  })

  it.each([
    ['a user name is all the client offers', [5, 1, 2], [5, 0xff]],
    ['UDP ASSOCIATE', [...GREETING, 5, 3, 0, 1, 10, 0, 0, 1, 0, 80], [5, 0, 5, 7]],
    ['an unknown address type', [...GREETING, 5, 1, 0, 9, 1, 1, 1, 1, 0, 80], [5, 0, 5, 8]],
    ['a request of another version', [...GREETING, 4, 1, 0, 1, 10, 0, 0, 1, 0, 80], [5, 0, 5, 1]],
  ])('refuses: %s', async (_what, request, answer) => {
    const { program, captured, send, settle } = setUp()
    await send(...request)
    await settle()
    expect([...program.received.subarray(0, answer.length)]).toEqual(answer)
    expect([captured.length, program.ended]).toEqual([0, true])
  })

  it('points a plain HTTP proxy request to CONNECT', async () => {
    const { program, send, settle } = setUp()
    await send(...ascii('GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n'))
    await settle()
    expect(program.text).toContain('405 Method Not Allowed')
    expect(program.text).toContain('socks5h://')
  })

  it('resets what is neither', async () => {
    const { program, send, settle } = setUp()
    await send(0x16, 3, 1)
    await settle()
    expect([program.closed, program.text]).toEqual([true, ''])
  })

  it('does not wait for a request for ever, nor for a hang-up', async () => {
    const silent = setUp()
    await silent.send(5)
    await silent.clock.advance(CAPTURE_HANDSHAKE_TIMEOUT_MS)
    expect(silent.program.closed).toBe(true)
    const lingering = setUp()
    await lingering.send(...GREETING, ...REQUEST)
    lingering.captured[0]!.reject('NO_ROUTE', 'no')
    await lingering.clock.advance(CAPTURE_HANDSHAKE_TIMEOUT_MS)
    expect(lingering.program.closed).toBe(true)
    expect(lingering.clock.pending).toBe(0)
  })

  it('notices a program that gives up before the answer', async () => {
    const { program, captured, send, settle, clock } = setUp()
    await send(...GREETING, ...REQUEST)
    program.stream.end()
    await settle()
    expect(captured[0]!.isGone).toBe(false)
    program.stream.reset(new CodedError('TEST', 'gone'))
    await settle()
    expect(captured[0]!.isGone).toBe(true)
    expect(clock.pending).toBe(0)
  })
})
