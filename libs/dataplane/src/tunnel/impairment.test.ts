import { CodedError } from '@ambient-lab/std'
import { virtualRun } from '@ambient-lab/testing'
import type { LinkFault } from '@ambient-lab/xds'
import { describe, expect, it } from 'vitest'
import { describeByteStream, Recorder } from '../stream/byte-stream.conformance.ts'
import { memoryPair } from '../stream/memory-stream.ts'
import { LinkFaults } from './impairment.ts'
import { MemoryNetwork, MemoryTransport } from './memory-transport.ts'
import { REQUEST, TestSvids, targetOf, virtualClock } from './transport.conformance.ts'
import type { IncomingConnect, TunnelSession } from './transport.ts'

function fault(init: Partial<LinkFault>): LinkFault {
  const base = { name: 'f', from: ['node-a'], to: ['node-b'], oneway: false, delayMs: 0, jitterMs: 0, seed: 1 }
  return { ...base, type: 'delay', ...init }
}

/** Two nodes, each with its own knowledge of the faults, as agents have it. */
async function open() {
  const clock = virtualClock()
  const network = new MemoryNetwork()
  const svids = new TestSvids()
  const [faultsOfA, faultsOfB] = [new LinkFaults({ clock }), new LinkFaults({ clock })]
  const near = new MemoryTransport({ clock, network, svids, links: faultsOfA })
  const far = new MemoryTransport({ clock, network, svids, links: faultsOfB })
  const incoming: IncomingConnect[] = []
  const sessions: TunnelSession[] = []
  const listener = await far.listen({ host: '10.0.0.2', port: 0, node: 'node-b' }, (session) => {
    sessions.push(session)
    session.onConnect((one) => incoming.push(one))
  })
  const set = (...faults: LinkFault[]) => {
    faultsOfA.set(faults)
    faultsOfB.set(faults)
  }
  const dial = () => near.dial(targetOf(listener))
  /** An echo through the tunnel; returns how long a byte takes there and back. */
  const openEcho = async () => {
    const session = await virtualRun(clock, 60_000, dial)
    const connecting = session.connect(REQUEST)
    connecting.catch(() => {})
    await clock.advanceUntil(() => incoming.length > 0, 60_000)
    const echo = incoming.at(-1)!.accept('')
    echo.start({ onData: (chunk) => echo.write(chunk), onEnd: () => echo.end(), onDrain() {}, onClose() {} })
    const { stream } = await virtualRun(clock, 60_000, () => connecting)
    const sink = new Recorder()
    stream.start(sink)
    const roundTripMs = async (limitMs = 60_000) => {
      const [bytes, startMs] = [sink.bytes, clock.monotonic()]
      stream.write(Buffer.from('x'))
      const isBack = await clock.advanceUntil(() => sink.bytes > bytes, limitMs)
      return isBack ? clock.monotonic() - startMs : undefined
    }
    return { session, stream, sink, roundTripMs }
  }
  return { clock, set, dial, openEcho, sessions, faultsOfA }
}

describeByteStream('a stream over a link that may be impaired', async () => {
  const clock = virtualClock()
  const [near, far] = memoryPair({ clock })
  const faults = new LinkFaults({ clock })
  faults.set([fault({ from: ['x'], to: ['y'] })])
  return { near: faults.shape(near, 'node-a', 'node-b'), far: faults.shape(far, 'node-b', 'node-a'), dispose() {} }
})

describe('LinkFaults: delay', () => {
  it('adds its delay to each message, each way', async () => {
    const { set, openEcho } = await open()
    const { roundTripMs } = await openEcho()
    expect(await roundTripMs()).toBe(0)
    set(fault({ delayMs: 50 }))
    expect(await roundTripMs()).toBe(100)
    set(fault({ delayMs: 50, oneway: true }))
    expect(await roundTripMs()).toBe(50)
    set(fault({ delayMs: 50, from: ['node-c'] }))
    expect(await roundTripMs()).toBe(0)
    set(fault({ delayMs: 50 }), fault({ name: 'g', delayMs: 7, from: ['node-b'], to: ['node-a'] }))
    expect(await roundTripMs()).toBe(114)
    set()
    expect(await roundTripMs()).toBe(0)
  })

  it('makes a dial wait for the round trips of its handshakes', async () => {
    const { clock, set, dial } = await open()
    set(fault({ delayMs: 20 }))
    await virtualRun(clock, 1000, dial)
    expect(clock.monotonic()).toBe(120)
  })

  it('varies within its jitter, never reorders, and repeats itself with its seed', async () => {
    const runOnce = async () => {
      const { clock, set, openEcho } = await open()
      const { stream, sink } = await openEcho()
      set(fault({ delayMs: 30, jitterMs: 25, seed: 42 }))
      const arrivals: number[] = []
      sink.onBytes = () => arrivals.push(clock.monotonic())
      for (let index = 0; index < 50; index += 1) {
        stream.write(Uint8Array.of(index))
        await clock.advance(3)
      }
      await clock.advance(1000)
      expect([...sink.content]).toEqual(Array.from({ length: 50 }, (_, index) => index))
      return arrivals
    }
    const first = await runOnce()
    expect(await runOnce()).toEqual(first)
    expect(new Set(first).size).toBeGreaterThan(5)
  })

  it('ends by itself', async () => {
    const { clock, set, openEcho, faultsOfA } = await open()
    const { roundTripMs } = await openEcho()
    set(fault({ delayMs: 50, endsAtMs: clock.now() + 1000 }))
    expect(await roundTripMs()).toBe(100)
    await clock.advance(1000)
    expect(await roundTripMs()).toBe(0)
    expect(faultsOfA.active).toEqual([])
  })
})

describe('LinkFaults: partition', () => {
  it('lets nothing pass, loses nothing, and delivers when it heals in time', async () => {
    const { clock, set, openEcho } = await open()
    const { roundTripMs, sink, session } = await openEcho()
    set(fault({ type: 'partition' }))
    expect(await roundTripMs(5000)).toBeUndefined()
    expect(session.acceptsStreams).toBe(true)
    set()
    await clock.advance(1)
    expect(sink.content.toString()).toBe('x')
  })

  it('stops one way only when it is one way', async () => {
    const clock = virtualClock()
    const [near, far] = memoryPair({ clock })
    const faults = new LinkFaults({ clock })
    faults.set([fault({ type: 'partition', oneway: true })])
    const ends = [faults.shape(near, 'node-a', 'node-b'), faults.shape(far, 'node-b', 'node-a')] as const
    const sinks = [new Recorder(), new Recorder()] as const
    ends.forEach((end, index) => {
      end.start(sinks[index]!)
      end.write(Buffer.from('hello'))
    })
    await clock.advance(1000)
    expect(sinks.map(({ bytes }) => bytes)).toEqual([5, 0])
  })

  it('kills established tunnels by their pings, at both ends', async () => {
    const { clock, set, openEcho, sessions } = await open()
    const { session, sink } = await openEcho()
    const reasons: string[] = []
    session.onClose(({ code }) => reasons.push(code))
    sessions[0]!.onClose(({ code }) => reasons.push(code))
    set(fault({ type: 'partition' }))
    await clock.advance(31_000)
    expect(reasons).toEqual(['PING_TIMEOUT', 'PING_TIMEOUT'])
    expect(sink.reason).toMatchObject({ code: 'PING_TIMEOUT' })
  })

  it('lets new dials time out, and lets them through when it heals meanwhile', async () => {
    const { clock, set, dial } = await open()
    set(fault({ type: 'partition' }))
    const failing = dial()
    const failure = expect(failing).rejects.toMatchObject({ code: 'CONNECT_TIMEOUT' })
    await clock.advance(10_000)
    await failure
    const waiting = dial()
    await clock.advance(5_000)
    set()
    await clock.advance(1)
    expect((await waiting).acceptsStreams).toBe(true)
  })

  it('does not tell the other side of a reset until it heals', async () => {
    const clock = virtualClock()
    const [near, far] = memoryPair({ clock })
    const faults = new LinkFaults({ clock })
    const shaped = faults.shape(near, 'node-a', 'node-b')
    const [nearSink, farSink] = [new Recorder(), new Recorder()]
    shaped.start(nearSink)
    far.start(farSink)
    faults.set([fault({ type: 'partition' })])
    shaped.reset(new CodedError('TEST', 'enough'))
    await clock.advance(1000)
    expect([nearSink.isClosed, farSink.isClosed]).toEqual([true, false])
    faults.set([])
    await clock.advance(1)
    expect(farSink.isClosed).toBe(true)
  })
})
