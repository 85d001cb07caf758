import { CodedError } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { Recorder, turns } from '../stream/byte-stream.conformance.ts'
import type { ByteStream } from '../stream/byte-stream.ts'
import { MemoryNetwork, MemoryTransport } from './memory-transport.ts'
import { certificates, REQUEST, SERVER_NAME, TestSvids, targetOf, virtualClock } from './transport.conformance.ts'
import type { DialTarget, TunnelSession } from './transport.ts'
import { type PoolTarget, TunnelPool } from './tunnel-pool.ts'

/** A pool and a server that accepts everything, in memory; `dials` counts. */
async function open() {
  const clock = virtualClock()
  const svids = new TestSvids()
  svids.client.set('ratings', certificates.svid('default/ratings'))
  svids.server.set('other.pod', certificates.svid('default/reviews'))
  const transport = new MemoryTransport({ clock, svids, network: new MemoryNetwork() })
  const sessions: TunnelSession[] = []
  const accepted: ByteStream[] = []
  const listener = await transport.listen({ host: '10.0.0.2', port: 0, node: 'node-b' }, (session) => {
    sessions.push(session)
    session.onConnect((incoming) => accepted.push(incoming.accept('')))
  })
  const dials: DialTarget[] = []
  const counting = {
    dial: (target: DialTarget, signal?: AbortSignal) => {
      dials.push(target)
      return transport.dial(target, signal)
    },
    dialOver: () => Promise.reject(new Error('not here')),
    listen: () => Promise.reject(new Error('not here')),
  }
  const pool = new TunnelPool({ transport: counting, clock })
  const target: PoolTarget = { ...targetOf(listener), sourceIp: '10.244.1.4' }
  const finish = async (stream: ByteStream, index: number) => {
    stream.start(new Recorder())
    accepted[index]!.start(new Recorder())
    stream.end()
    accepted[index]!.end()
    await clock.advance(1)
  }
  return { clock, pool, target, dials, sessions, accepted, listener, transport, finish }
}

describe('TunnelPool', () => {
  it('dials once for all who ask meanwhile, and reuses the tunnel', async () => {
    const { pool, target, dials } = await open()
    const streams = await Promise.all(Array.from({ length: 50 }, () => pool.connect(target, REQUEST)))
    expect(dials).toHaveLength(1)
    expect(new Set(streams.map(({ session }) => session)).size).toBe(1)
    expect((await pool.connect(target, REQUEST)).reused).toBe(true)
    expect(pool.size).toBe(1)
  })

  it('opens another tunnel when a hundred streams are open on one', async () => {
    const { pool, target, dials } = await open()
    const streams = await Promise.all(Array.from({ length: 250 }, () => pool.connect(target, REQUEST)))
    expect(dials).toHaveLength(3)
    const perSession = Map.groupBy(streams, ({ session }) => session)
    expect([...perSession.values()].map((group) => group.length)).toEqual([100, 100, 50])
  })

  const differences: readonly [string, Partial<PoolTarget>][] = [
    ['source identity', { source: certificates.id('default/ratings') }],
    ['source address', { sourceIp: '10.244.1.9' }],
    ['expected identities', { expectedIds: [certificates.id('default/reviews'), certificates.id('default/ratings')] }],
    ['server name', { serverName: 'other.pod' }],
  ]
  it.each(differences)('never shares a tunnel across %s', async (_, difference) => {
    const { pool, target, dials } = await open()
    const one = await pool.connect(target, REQUEST)
    const other = await pool.connect({ ...target, ...difference }, REQUEST)
    expect(other.session).not.toBe(one.session)
    expect(dials).toHaveLength(2)
  })

  it('shares a tunnel whatever the order of expected identities', async () => {
    const { pool, target, dials } = await open()
    const ids = [certificates.id('default/reviews'), certificates.id('default/ratings')]
    await pool.connect({ ...target, expectedIds: ids }, REQUEST)
    await pool.connect({ ...target, expectedIds: ids.toReversed() }, REQUEST)
    expect(dials).toHaveLength(1)
  })

  it('releases a tunnel that had no stream for five minutes, not before', async () => {
    const { clock, pool, target, finish } = await open()
    const first = await pool.connect(target, REQUEST)
    await finish(first.stream, 0)
    await clock.advance(4 * 60_000)
    const second = await pool.connect(target, REQUEST)
    expect(second.session).toBe(first.session)
    await clock.advance(60 * 60_000)
    expect(pool.size).toBe(1)
    await finish(second.stream, 1)
    await clock.advance(5 * 60_000 - 2)
    expect(pool.size).toBe(1)
    await clock.advance(3)
    expect(pool.size).toBe(0)
  })

  it('drops a tunnel that died, and dials again for the next', async () => {
    const { clock, pool, target, sessions, dials } = await open()
    await pool.connect(target, REQUEST)
    sessions[0]!.close(new CodedError('TEST', 'bye'))
    await clock.advance(1)
    expect(pool.size).toBe(0)
    await pool.connect(target, REQUEST)
    expect(dials).toHaveLength(2)
  })

  it('tries again, once, when a tunnel that had served died under a CONNECT', async () => {
    const { clock, pool, target, sessions, dials } = await open()
    await pool.connect(target, REQUEST)
    sessions[0]!.onConnect(() => sessions[0]!.close(new CodedError('TEST', 'dying')))
    const connecting = pool.connect(target, REQUEST)
    await clock.advance(1)
    expect((await connecting).reused).toBe(false)
    expect(dials).toHaveLength(2)
  })

  it('does not try again when a fresh tunnel died under its first CONNECT', async () => {
    const { clock, pool, target, listener, transport, dials } = await open()
    await listener[Symbol.asyncDispose]()
    await transport.listen({ ...listener.address, node: 'node-b' }, (session) => {
      session.onConnect(() => session.close(new CodedError('TEST', 'dying')))
    })
    const failure = expect(pool.connect(target, REQUEST)).rejects.toMatchObject({ code: 'SESSION_CLOSED' })
    await clock.advance(1)
    await failure
    expect(dials).toHaveLength(1)
  })

  it('does not try again after a refusal', async () => {
    const { pool, target, sessions, dials } = await open()
    await pool.connect(target, REQUEST)
    sessions[0]!.onConnect((incoming) => incoming.reject(401, 'policy'))
    await expect(pool.connect(target, REQUEST)).rejects.toMatchObject({ status: 401 })
    expect(dials).toHaveLength(1)
  })

  it('tells everybody who waited that a dial failed, and dials afresh for the next', async () => {
    const { pool, target, dials } = await open()
    const nowhere = { ...target, address: { host: '10.0.0.9', port: 1 } }
    const results = await Promise.allSettled([pool.connect(nowhere, REQUEST), pool.connect(nowhere, REQUEST)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(dials).toHaveLength(1)
    await expect(pool.connect(nowhere, REQUEST)).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
    expect(dials).toHaveLength(2)
    expect(pool.size).toBe(0)
  })

  it('gives up a dial when the last who waited gave up', async () => {
    const { clock, target } = await open()
    let dialSignal: AbortSignal | undefined
    const never = {
      dial: (_: DialTarget, signal?: AbortSignal) =>
        new Promise<never>((_, reject) => {
          dialSignal = signal
          signal!.addEventListener('abort', () => reject(signal!.reason))
        }),
      dialOver: () => Promise.reject(new Error('not here')),
      listen: () => Promise.reject(new Error('not here')),
    }
    const pool = new TunnelPool({ transport: never, clock })
    const [one, other] = [new AbortController(), new AbortController()]
    const waiting = [pool.connect(target, REQUEST, one.signal), pool.connect(target, REQUEST, other.signal)]
    for (const promise of waiting) promise.catch(() => {})
    await turns()
    const why = new CodedError('TEST', 'gave up')
    one.abort(why)
    await expect(waiting[0]).rejects.toBe(why)
    expect(dialSignal!.aborted).toBe(false)
    other.abort(why)
    await expect(waiting[1]).rejects.toBe(why)
    expect(dialSignal!.aborted).toBe(true)
  })

  it('drains: nothing new, streams go on, tunnels close behind them', async () => {
    const { clock, pool, target, finish } = await open()
    const { stream, session } = await pool.connect(target, REQUEST)
    pool.drain()
    await expect(pool.connect(target, REQUEST)).rejects.toMatchObject({
      code: 'POOL_DRAINING',
      message: 'pool draining',
    })
    await clock.advance(60_000)
    expect(session.openStreams).toBe(1)
    await finish(stream, 0)
    expect(pool.size).toBe(0)
  })

  it('drains the tunnels of one identity and no others', async () => {
    const { pool, target } = await open()
    const one = await pool.connect(target, REQUEST)
    const other = await pool.connect({ ...target, source: certificates.id('default/ratings') }, REQUEST)
    pool.drainSource(certificates.id('default/curl'))
    expect([one.session.acceptsStreams, other.session.acceptsStreams]).toEqual([false, true])
    const next = await pool.connect(target, REQUEST)
    expect(next.session).not.toBe(one.session)
  })

  it('cuts everything when disposed', async () => {
    const { clock, pool, target } = await open()
    const { stream } = await pool.connect(target, REQUEST)
    const sink = new Recorder()
    stream.start(sink)
    await pool[Symbol.asyncDispose]()
    await clock.advance(1)
    expect(sink.reason).toMatchObject({ code: 'SESSION_CLOSED' })
    expect(pool.size).toBe(0)
  })

  it('expects the server that it asked for', async () => {
    const { pool, target } = await open()
    const wrong = { ...target, serverName: SERVER_NAME, expectedIds: [certificates.id('default/details')] }
    await expect(pool.connect(wrong, REQUEST)).rejects.toMatchObject({ code: 'PEER_UNEXPECTED_SAN' })
  })
})
