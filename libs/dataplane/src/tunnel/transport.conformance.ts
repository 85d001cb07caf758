import type { SpiffeId, X509Svid } from '@ambient-lab/pki'
import { CodedError, systemClock, VirtualClock } from '@ambient-lab/std'
import { eventually, TestCertificates } from '@ambient-lab/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { describeByteStream, Recorder, randomBytes, startWriting, turns } from '../stream/byte-stream.conformance.ts'
import { memoryPair } from '../stream/memory-stream.ts'
import type { SvidLookup } from './mtls.ts'
import type {
  ConnectRequest,
  DialTarget,
  IncomingConnect,
  Transport,
  TransportListener,
  TunnelSession,
} from './transport.ts'

export const certificates = new TestCertificates()
export const SERVER_NAME = '10-244-1-5.default.pod.cluster.local'
export const REQUEST: ConnectRequest = {
  authority: '10.244.1.5:9080',
  baggage: 'service.name=curl',
  forwarded: 'for="10.244.1.4:41000"',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00',
}

/** One transport for each end, as two nodes have them. */
export interface TransportPair {
  readonly client: Transport
  readonly server: Transport
}

/** Certificates by service account and by server name; whatever is not there is refused as unavailable. */
export class TestSvids implements SvidLookup {
  readonly client = new Map<string, X509Svid>()
  readonly server = new Map<string, X509Svid>()

  constructor() {
    this.client.set('curl', certificates.svid('default/curl'))
    this.server.set(SERVER_NAME, certificates.svid('default/reviews'))
  }

  async clientSvid(source: SpiffeId): Promise<X509Svid> {
    const svid = this.client.get(source.serviceAccount)
    if (!svid) throw new CodedError('CERTIFICATE_UNAVAILABLE', `no certificate for ${source.serviceAccount}`)
    return svid
  }

  async serverSvid(serverName: string): Promise<X509Svid> {
    const svid = this.server.get(serverName)
    if (!svid) throw new CodedError('SERVER_NAME_UNKNOWN', `nobody here is called ${serverName}`)
    return svid
  }
}

/** Stands at the present, when the certificates are valid. */
export function virtualClock(): VirtualClock {
  return new VirtualClock({ startMs: systemClock.now() })
}

export function targetOf(listener: Pick<TransportListener, 'address'>, rest: Partial<DialTarget> = {}): DialTarget {
  return {
    source: certificates.id('default/curl'),
    address: listener.address,
    serverName: SERVER_NAME,
    expectedIds: [certificates.id('default/reviews')],
    fromNode: 'node-a',
    toNode: 'node-b',
    ...rest,
  }
}

/** The promises that every Transport keeps. */
export function describeTransport(name: string, make: (svids: TestSvids) => TransportPair): void {
  const opened: TransportListener[] = []
  afterEach(async () => {
    for (const listener of opened.splice(0)) await listener[Symbol.asyncDispose]()
  })

  const open = async (svids = new TestSvids()) => {
    const { client, server } = make(svids)
    const sessions: TunnelSession[] = []
    const incoming: IncomingConnect[] = []
    const listener = await server.listen({ host: '127.0.0.1', port: 0, node: 'node-b' }, (session) => {
      sessions.push(session)
      session.onConnect((one) => incoming.push(one))
    })
    opened.push(listener)
    const dial = (rest?: Partial<DialTarget>, signal?: AbortSignal) => client.dial(targetOf(listener, rest), signal)
    /** By a name that is nobody's: whom the stream leads to, somebody else has decided. */
    const dialOver = async (rest?: Partial<DialTarget>, signal?: AbortSignal) => {
      const [near, far] = memoryPair({ clock: systemClock })
      listener.accept(far, SERVER_NAME)
      const session = await client.dialOver(near, targetOf(listener, { serverName: 'reviews.svc', ...rest }), signal)
      return { session, near, far }
    }
    return { client, server, listener, sessions, incoming, dial, dialOver }
  }

  describeByteStream(`a stream through ${name}`, async () => {
    const { dial, incoming } = await open()
    const session = await dial()
    const connecting = session.connect(REQUEST)
    const far = (await eventually(() => incoming[0])).accept('')
    const { stream: near } = await connecting
    return { near, far, dispose: () => session.close(new CodedError('TEST_OVER', 'the test is over')) }
  })

  describe(`${name} keeps the promises of Transport:`, () => {
    it('tells each end who the other is', async () => {
      const { dial, sessions } = await open()
      const near = await dial()
      const far = await eventually(() => sessions[0])
      const [curl, reviews] = [certificates.id('default/curl'), certificates.id('default/reviews')]
      expect([near.local, near.remote, near.serverName]).toEqual([curl, reviews, SERVER_NAME])
      expect([far.local, far.remote, far.serverName]).toEqual([reviews, curl, SERVER_NAME])
      expect(near.remoteAddress).toMatch(/:\d+$/)
      expect(far.remoteAddress).toMatch(/:\d+$/)
    })

    it('makes the same session over a stream that leads to it', async () => {
      const { dialOver, sessions, incoming } = await open()
      const { session: near } = await dialOver()
      const far = await eventually(() => sessions[0])
      const [curl, reviews] = [certificates.id('default/curl'), certificates.id('default/reviews')]
      expect([near.local, near.remote]).toEqual([curl, reviews])
      expect([far.local, far.remote, far.serverName]).toEqual([reviews, curl, SERVER_NAME])
      const connecting = near.connect({ ...REQUEST, originNetwork: 'east', sentBy: 'waypoint' })
      const { request, accept } = await eventually(() => incoming[0])
      expect(request).toEqual({ ...REQUEST, originNetwork: 'east', sentBy: 'waypoint' })
      const sink = new Recorder()
      const back = accept('')
      back.start(sink)
      back.end()
      const { stream } = await connecting
      startWriting(stream, new Recorder(), randomBytes(1, 300_000))
      await eventually(() => sink.isClosed)
      expect(sink.content.equals(randomBytes(1, 300_000))).toBe(true)
    })

    it('ends a session whose stream is cut, and the stream of a session that ends', async () => {
      const { dialOver, sessions } = await open()
      const cut = await dialOver()
      let reason: unknown
      cut.session.onClose((why) => {
        reason = why
      })
      await eventually(() => sessions[0])
      cut.near.reset(new CodedError('STREAM_RESET', 'the gateway is gone'))
      await eventually(() => reason !== undefined && sessions[0]?.acceptsStreams === false)
      const { session } = await dialOver()
      session.drain()
      await eventually(() => sessions[1]?.acceptsStreams === false)
    })

    it('gives up a handshake over a stream when told to, and when nothing is at its end', async () => {
      const { client, listener } = await open()
      const [near, far] = memoryPair({ clock: systemClock })
      const enough = new AbortController()
      const dialing = client.dialOver(near, targetOf(listener), enough.signal)
      enough.abort(new CodedError('TEST_OVER', 'enough'))
      await expect(dialing).rejects.toMatchObject({ code: 'TEST_OVER' })
      const gone = new Recorder()
      far.start(gone)
      await eventually(() => gone.isClosed)
      const [other, end] = memoryPair({ clock: systemClock })
      const hopeless = client.dialOver(other, targetOf(listener))
      end.start(new Recorder())
      end.reset(new CodedError('STREAM_RESET', 'nobody'))
      await expect(hopeless).rejects.toMatchObject({ code: 'TLS_FAILED' })
    })

    it('makes nothing of a stream that brings no handshake', async () => {
      const { listener, sessions } = await open()
      for (const bytes of [randomBytes(3, 4096), Buffer.from('GET / HTTP/1.1\r\n\r\n')]) {
        const [near, far] = memoryPair({ clock: systemClock })
        listener.accept(far, SERVER_NAME)
        const sink = new Recorder()
        near.start(sink)
        near.write(bytes)
        await eventually(() => sink.isClosed)
      }
      expect(sessions).toEqual([])
    })

    it('carries many CONNECTs at once, each with its own bytes', async () => {
      const { dial, sessions } = await open()
      const session = await dial()
      const far = await eventually(() => sessions[0])
      const received = new Map<string, Recorder>()
      far.onConnect((incoming) => {
        const sink = new Recorder()
        received.set(incoming.request.authority, sink)
        const stream = incoming.accept(incoming.request.authority)
        stream.start(sink)
        stream.end()
      })
      const names = Array.from({ length: 50 }, (_, index) => `10.0.0.${index}:80`)
      await Promise.all(
        names.map(async (authority, index) => {
          const { stream, baggage } = await session.connect({ ...REQUEST, authority })
          expect(baggage).toBe(authority)
          startWriting(stream, new Recorder(), randomBytes(index + 1, 50_000))
        }),
      )
      await eventually(() => [...received.values()].every((sink) => sink.isClosed))
      names.forEach((authority, index) => {
        expect(received.get(authority)!.content.equals(randomBytes(index + 1, 50_000))).toBe(true)
      })
      expect([session.openStreams, far.openStreams]).toEqual([0, 0])
    })

    it.each([400, 401, 503] as const)('brings a refusal with %i home', async (status) => {
      const { dial, sessions } = await open()
      const session = await dial()
      const far = await eventually(() => sessions[0])
      far.onConnect((incoming) => incoming.reject(status, 'this is why'))
      await expect(session.connect(REQUEST)).rejects.toMatchObject({
        code: 'CONNECT_REJECTED',
        status,
        reason: 'this is why',
      })
    })

    it('gives up a pending CONNECT at both ends', async () => {
      const { dial, incoming } = await open()
      const session = await dial()
      const abort = new AbortController()
      const connecting = session.connect(REQUEST, abort.signal)
      const pending = await eventually(() => incoming[0])
      const why = new CodedError('APP_GONE', 'gone')
      abort.abort(why)
      await expect(connecting).rejects.toBe(why)
      await eventually(() => pending.signal.aborted)
    })

    it('drains a listener: no new sessions or streams, old streams go on, sessions close behind their last', async () => {
      const { dial, listener, incoming } = await open()
      const session = await dial()
      let closed: CodedError | undefined
      session.onClose((reason) => {
        closed = reason
      })
      const connecting = session.connect(REQUEST)
      const far = (await eventually(() => incoming[0])).accept('')
      const { stream: near } = await connecting
      const [nearSink, farSink] = [new Recorder(), new Recorder()]
      near.start(nearSink)
      far.start(farSink)
      listener.drain()
      await eventually(() => !session.acceptsStreams)
      await expect(session.connect(REQUEST)).rejects.toMatchObject({ code: 'SESSION_DRAINING' })
      await expect(dial()).rejects.toMatchObject({ code: 'CONNECT_FAILED', retry: 'yes' })
      near.write(Buffer.from('last words'))
      near.end()
      await eventually(() => farSink.content.toString() === 'last words')
      expect(closed).toBeUndefined()
      far.end()
      await eventually(() => closed)
      expect(farSink.events.at(-1)).toBe('close')
    })

    it('cuts everything when a listener is disposed', async () => {
      const { dial, listener, incoming } = await open()
      const session = await dial()
      const connecting = session.connect(REQUEST)
      const far = (await eventually(() => incoming[0])).accept('')
      const { stream: near } = await connecting
      const [nearSink, farSink] = [new Recorder(), new Recorder()]
      near.start(nearSink)
      far.start(farSink)
      await listener[Symbol.asyncDispose]()
      await listener[Symbol.asyncDispose]()
      await eventually(() => nearSink.isClosed && farSink.isClosed)
      expect(nearSink.reason).toMatchObject({ code: 'SESSION_CLOSED' })
    })

    it('says when a session has no stream any more', async () => {
      const { dial, sessions } = await open()
      const session = await dial()
      let idle = 0
      session.onIdle(() => {
        idle += 1
      })
      const far = await eventually(() => sessions[0])
      far.onConnect((incoming) => incoming.reject(503, ''))
      await session.connect(REQUEST).catch(() => {})
      expect(idle).toBe(1)
    })

    it('refuses where nobody listens, and throws the reason of an aborted dial', async () => {
      const { client, listener, dial } = await open()
      const nowhere = targetOf(listener, { address: { host: '127.0.0.1', port: 1 } })
      await expect(client.dial(nowhere)).rejects.toMatchObject({ code: 'CONNECT_FAILED', retry: 'yes' })
      const why = new CodedError('TEST_ABORT', 'not today')
      await expect(dial({}, AbortSignal.abort(why))).rejects.toBe(why)
    })

    it('tells that a port is taken', async () => {
      const { server, listener } = await open()
      const again = server.listen({ ...listener.address, node: 'node-b' }, () => {})
      await expect(again).rejects.toMatchObject({ code: 'ADDRESS_IN_USE' })
    })

    const strangers: readonly {
      what: string
      code: RegExp
      change: (svids: TestSvids) => void
      target?: Partial<DialTarget>
    }[] = [
      {
        what: 'a server that is somebody else',
        code: /^PEER_UNEXPECTED_SAN$/,
        change: () => {},
        target: { expectedIds: [certificates.id('default/ratings')] },
      },
      {
        what: 'a server whose certificate has expired',
        code: /^PEER_EXPIRED$/,
        change: (svids) => svids.server.set(SERVER_NAME, certificates.expiredSvid('default/reviews')),
      },
      {
        what: 'a server whose certificate is not valid yet',
        code: /^PEER_NOT_YET_VALID$/,
        change: (svids) => svids.server.set(SERVER_NAME, certificates.futureSvid('default/reviews')),
      },
      {
        what: 'a server of an unknown authority',
        code: /^PEER_UNTRUSTED$/,
        change: (svids) => svids.server.set(SERVER_NAME, certificates.untrustedSvid('default/reviews')),
      },
      {
        what: 'a client whose certificate has expired',
        code: /^(PEER_EXPIRED|UPGRADE_REFUSED)$/,
        change: (svids) => svids.client.set('curl', certificates.expiredSvid('default/curl')),
      },
      {
        what: 'a client of another trust domain',
        code: /^(PEER_WRONG_TRUST_DOMAIN|UPGRADE_REFUSED)$/,
        change: (svids) => svids.client.set('curl', certificates.otherTrustDomainSvid('default/curl')),
      },
      {
        what: 'a client of an unknown authority',
        code: /^(PEER_UNTRUSTED|UPGRADE_REFUSED)$/,
        change: (svids) => svids.client.set('curl', certificates.untrustedSvid('default/curl')),
      },
      {
        what: 'a client without a certificate',
        code: /^CERTIFICATE_UNAVAILABLE$/,
        change: (svids) => svids.client.clear(),
      },
      {
        what: 'a server name that nobody has',
        code: /^(SERVER_NAME_UNKNOWN|TLS_FAILED)$/,
        change: (svids) => svids.server.clear(),
      },
    ]
    it.each(strangers)('makes no session with $what', async ({ code, change, target }) => {
      const svids = new TestSvids()
      change(svids)
      const { dial, dialOver, incoming, sessions } = await open(svids)
      await expect(dial(target)).rejects.toMatchObject({ code: expect.stringMatching(code) })
      await expect(dialOver(target)).rejects.toMatchObject({ code: expect.stringMatching(code) })
      await turns()
      expect(incoming).toEqual([])
      expect(sessions.every((session) => !session.acceptsStreams || session.openStreams === 0)).toBe(true)
    })
  })
}
