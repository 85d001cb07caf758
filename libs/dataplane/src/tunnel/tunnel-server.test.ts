import { describe, expect, it } from 'vitest'
import { Recorder } from '../stream/byte-stream.conformance.ts'
import { MemoryNetwork, MemoryTransport } from './memory-transport.ts'
import { REQUEST, SERVER_NAME, TestSvids, targetOf, virtualClock } from './transport.conformance.ts'
import { type InboundConnect, parseAuthority, TunnelServer } from './tunnel-server.ts'

async function open() {
  const clock = virtualClock()
  const transport = new MemoryTransport({ clock, svids: new TestSvids(), network: new MemoryNetwork() })
  const inbound: InboundConnect[] = []
  const init = { host: '10.0.0.2', port: 15008, node: 'node-b', onConnect: (one: InboundConnect) => inbound.push(one) }
  const server = new TunnelServer({ transport, clock }, init)
  await server.start()
  return { clock, server, inbound, dial: () => transport.dial(targetOf(server)) }
}

describe('TunnelServer', () => {
  it('hands a CONNECT on with its destination and the name that chose the certificate', async () => {
    const { inbound, dial } = await open()
    const session = await dial()
    const connecting = session.connect(REQUEST)
    await Promise.resolve()
    const stream = await new Promise((resolve) => setImmediate(() => resolve(inbound[0]!.accept('b'))))
    expect((await connecting).baggage).toBe('b')
    expect(stream).toBeDefined()
    expect(inbound[0]).toMatchObject({ request: REQUEST, destination: { host: '10.244.1.5', port: 9080 } })
    expect(inbound[0]!.session.serverName).toBe(SERVER_NAME)
  })

  it.each(['', 'reviews', '10.0.0.1', '10.0.0.1:0', '10.0.0.1:65536', 'http://a:80', 'a b:80', '[::1:80'])(
    'answers 400 to the authority %j',
    async (authority) => {
      const { inbound, dial } = await open()
      const session = await dial()
      await expect(session.connect({ ...REQUEST, authority })).rejects.toMatchObject({
        status: 400,
        reason: 'no valid authority pseudo header',
      })
      expect(inbound).toEqual([])
    },
  )

  it.each([
    ['10.0.0.1:80', { host: '10.0.0.1', port: 80 }],
    ['[fd00::1]:65535', { host: 'fd00::1', port: 65_535 }],
    ['reviews.default.svc.cluster.local:9080', { host: 'reviews.default.svc.cluster.local', port: 9080 }],
  ])('reads %s', (text, authority) => {
    expect(parseAuthority(text)).toEqual(authority)
  })

  it('drains at once when nothing is open', async () => {
    const { server } = await open()
    await server.drain()
  })

  it('waits for streams to end, then is drained', async () => {
    const { clock, server, inbound, dial } = await open()
    const session = await dial()
    const connecting = session.connect(REQUEST)
    await clock.advance(1)
    const far = inbound[0]!.accept('')
    const { stream } = await connecting
    far.start(new Recorder())
    stream.start(new Recorder())
    let isDrained = false
    const draining = server.drain().then(() => {
      isDrained = true
    })
    await clock.advance(4_000)
    expect(isDrained).toBe(false)
    stream.end()
    far.end()
    await clock.advance(1)
    await draining
    await expect(dial()).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
  })

  it('cuts what is left at the deadline', async () => {
    const { clock, server, inbound, dial } = await open()
    const session = await dial()
    const connecting = session.connect(REQUEST)
    await clock.advance(1)
    const sink = new Recorder()
    inbound[0]!.accept('').start(sink)
    await connecting
    const draining = server.drain()
    await clock.advance(5_000)
    await draining
    await clock.advance(1)
    expect(sink.reason).toMatchObject({
      code: 'DRAIN_TIMEOUT',
      message: 'connection failed to drain within the timeout',
    })
    expect(server.sessions.size).toBe(0)
  })
})
