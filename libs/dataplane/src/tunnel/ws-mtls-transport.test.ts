import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { connect as connectTcp, type Socket } from 'node:net'
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer as createTlsServer,
  type TLSSocket,
} from 'node:tls'
import { parseRevocationLists, Revocations, type X509Svid } from '@ambient-lab/pki'
import { type Clock, CodedError, systemClock, VirtualClock } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import { afterEach, describe, expect, it } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { Recorder } from '../stream/byte-stream.conformance.ts'
import { encodeConnect } from './connect.ts'
import { FRAME } from './frame.ts'
import { certificates, REQUEST, SERVER_NAME, TestSvids, targetOf } from './transport.conformance.ts'
import type { IncomingConnect, ListenOptions, TransportListener, TunnelSession } from './transport.ts'
import { SUBPROTOCOL } from './upgrade.ts'
import { WsMtlsTransport } from './ws-mtls-transport.ts'

const cleanUp: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

interface LogLine {
  readonly message: string
  readonly code: string
}

async function listen(clock: Clock = systemClock, options: Partial<ListenOptions> = {}) {
  const lines: LogLine[] = []
  const sessions: TunnelSession[] = []
  const incoming: IncomingConnect[] = []
  const log = { warn: (message: string, fields: unknown) => lines.push({ message, ...(fields as { code: string }) }) }
  const transport = new WsMtlsTransport({ clock, svids: new TestSvids(), log: log as never })
  const listener = await transport.listen({ host: '127.0.0.1', port: 0, node: 'node-b', ...options }, (session) => {
    sessions.push(session)
    session.onConnect((one) => incoming.push(one))
  })
  cleanUp.push(() => listener[Symbol.asyncDispose]())
  return { transport, listener, lines, sessions, incoming }
}

/** A TLS client that checks nothing itself. */
function dialTls({ address }: TransportListener, svid?: X509Svid, options: ConnectionOptions = {}): TLSSocket {
  const identity = svid && { cert: svid.chainPem, key: svid.privateKeyPem }
  const socket = connectTls({ ...address, servername: SERVER_NAME, rejectUnauthorized: false, ...identity, ...options })
  socket.on('error', () => {})
  cleanUp.push(() => socket.destroy())
  return socket
}

function upgradeRequest(change: Record<string, string | undefined> = {}, path = '/hbone'): string {
  const fields = {
    Host: SERVER_NAME,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol': SUBPROTOCOL,
    ...change,
  }
  const lines = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]))
  return `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.on('close', () => resolve()))
}

async function readAll(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  await closed(socket)
  return text
}

describe('WsMtlsTransport: who may be the peer', () => {
  const strangers: readonly { what: string; svid: () => X509Svid | undefined; code: string }[] = [
    { what: 'no client certificate', svid: () => undefined, code: 'PEER_NO_CERTIFICATE' },
    {
      what: 'another trust domain',
      svid: () => certificates.otherTrustDomainSvid('default/curl'),
      code: 'PEER_WRONG_TRUST_DOMAIN',
    },
    { what: 'an expired certificate', svid: () => certificates.expiredSvid('default/curl'), code: 'PEER_EXPIRED' },
    {
      what: 'a certificate of tomorrow',
      svid: () => certificates.futureSvid('default/curl'),
      code: 'PEER_NOT_YET_VALID',
    },
    { what: 'an unknown authority', svid: () => certificates.untrustedSvid('default/curl'), code: 'PEER_UNTRUSTED' },
  ]
  it.each(strangers)('refuses $what before it is listened to: $code, one line', async ({ svid, code }) => {
    const { listener, lines, sessions } = await listen()
    const socket = dialTls(listener, svid())
    // Everything at once, as an attacker would: the request must not be answered with an upgrade.
    socket.write(upgradeRequest())
    expect(await readAll(socket)).toMatch(new RegExp(`^HTTP/1.1 403 ${code}\r\n`))
    expect(lines).toEqual([expect.objectContaining({ message: 'tunnel refused', code, 'dst.sni': SERVER_NAME })])
    expect(sessions).toEqual([])
  })

  it('closes the tunnels of a certificate that is taken back, and refuses it from then on; others are unharmed', async () => {
    const svids = new TestSvids()
    svids.client.set('other', certificates.svid('default/other'))
    const revocations = new Revocations()
    const transport = new WsMtlsTransport({ clock: systemClock, svids, revocations })
    const sessions: TunnelSession[] = []
    const listener = await transport.listen({ host: '127.0.0.1', port: 0, node: 'node-b' }, (session) => {
      session.onConnect((one) => one.accept(''))
      sessions.push(session)
    })
    cleanUp.push(() => listener[Symbol.asyncDispose]())
    const client = new WsMtlsTransport({ clock: systemClock, svids })
    const target = targetOf(listener)
    const bad = await client.dial(target)
    const { stream } = await bad.connect(REQUEST)
    const recorder = new Recorder()
    stream.start(recorder)
    const good = await client.dial({ ...target, source: certificates.id('default/other') })
    await eventually(() => sessions.length === 2)
    const { leaf, chain, bundle } = await svids.clientSvid(target.source)
    const reasons: string[] = []
    for (const session of sessions) session.onClose(({ code }) => reasons.push(code))
    const pem = certificates.authority.revocationList([leaf.serialNumber])
    revocations.replace('a file', parseRevocationLists(pem, [...bundle.roots, ...chain.slice(1)]))
    await eventually(() => recorder.isClosed)
    expect(reasons).toEqual(['CERTIFICATE_REVOKED'])
    expect(good.acceptsStreams).toBe(true)
    await expect(client.dial(target)).rejects.toMatchObject({ code: 'UPGRADE_REFUSED' })
    expect(revocations.rejected).toBe(2)
    good.close(new CodedError('SESSION_CLOSED', 'the test is over'))
  })

  it('cannot be told a certificate whose key the peer does not have', () => {
    const { chainPem, privateKeyPem } = certificates.mismatched('default/curl')
    expect(() => connectTls({ cert: chainPem, key: privateKeyPem })).toThrow(/key values mismatch/)
  })

  it('speaks TLS 1.3 and nothing older', async () => {
    const { listener, lines } = await listen()
    const socket = dialTls(listener, certificates.svid('default/curl'), { maxVersion: 'TLSv1.2' })
    await closed(socket)
    await eventually(() => expect(lines).toMatchObject([{ code: 'TLS_FAILED' }]))
  })

  it('tells a peer that speaks another protocol so in the handshake', async () => {
    const { listener, lines } = await listen()
    const socket = dialTls(listener, certificates.svid('default/curl'), { ALPNProtocols: ['h2'] })
    const [error] = await once(socket, 'error')
    expect(error).toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL' })
    await eventually(() => expect(lines).toMatchObject([{ code: 'TLS_FAILED' }]))
  })

  it.each([{}, { ALPNProtocols: ['http/1.1'] }])('takes a peer that offers %o', async (options) => {
    const { listener, sessions } = await listen()
    dialTls(listener, certificates.svid('default/curl'), options).write(upgradeRequest())
    await eventually(() => sessions.length === 1)
  })

  it('keeps other tunnels unharmed by a peer that breaks the rules', async () => {
    const { transport, listener, sessions, incoming } = await listen()
    const good = await transport.dial(targetOf(listener))
    const connecting = good.connect(REQUEST)
    await eventually(() => incoming.length === 1)
    const far = new Recorder()
    incoming[0]!.accept('').start(far)
    const { stream } = await connecting
    stream.start(new Recorder())
    const vandal = dialTls(listener, certificates.svid('default/curl'))
    vandal.write(upgradeRequest())
    await eventually(() => sessions.length === 2)
    const farewell = readAll(vandal)
    vandal.write(Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 3, 0, 0, 0, 1]))
    await farewell
    stream.write(Buffer.from('still here'))
    await eventually(() => far.content.toString() === 'still here')
  })

  it('does not resume sessions', async () => {
    const { listener, sessions } = await listen()
    const svid = certificates.svid('default/curl')
    const first = dialTls(listener, svid)
    const tickets: Buffer[] = []
    first.on('session', (ticket) => tickets.push(ticket))
    first.write(upgradeRequest())
    await eventually(() => sessions.length === 1)
    for (const session of tickets) {
      const second = dialTls(listener, svid, { session })
      await once(second, 'secureConnect')
      expect(second.isSessionReused()).toBe(false)
    }
  })

  it('needs a server name to choose a certificate', async () => {
    const { listener, lines } = await listen()
    const socket = dialTls(listener, certificates.svid('default/curl'), { servername: '' })
    await closed(socket)
    await eventually(() => expect(lines).toMatchObject([{ code: 'TLS_FAILED' }]))
  })
})

describe('WsMtlsTransport: handshakes that do not come to an end', () => {
  it('gives a connection 10 s to become a session, however it dawdles', async () => {
    const clock = new VirtualClock()
    const { listener, lines } = await listen(clock)
    const silent = connectTcp(listener.address.port, '127.0.0.1')
    const dawdling = dialTls(listener, certificates.svid('default/curl'))
    await once(dawdling, 'secureConnect')
    dawdling.write('GET /hbone HTTP/1.1\r\nHost: ')
    await eventually(() => expect(clock.pending).toBe(2))
    const ends = Promise.all([closed(silent), closed(dawdling)])
    await clock.advance(9_999)
    expect([silent.destroyed, dawdling.destroyed]).toEqual([false, false])
    await clock.advance(1)
    await ends
    expect(lines.filter(({ code }) => code === 'HANDSHAKE_TIMEOUT')).toHaveLength(2)
  })

  it('holds so many of them and no more: a tunnel that stands is unharmed, and there is room again when one gives up', async () => {
    const { transport, listener, sessions, incoming } = await listen(systemClock, { handshakesMax: 3 })
    const standing = await transport.dial(targetOf(listener))
    const silent = Array.from({ length: 3 }, () => connectTcp(listener.address.port, '127.0.0.1'))
    for (const socket of silent) cleanUp.push(() => socket.destroy())
    await Promise.all(silent.map((socket) => once(socket, 'connect')))
    const late = connectTcp(listener.address.port, '127.0.0.1')
    late.on('error', () => {})
    await closed(late)
    await expect(transport.dial(targetOf(listener))).rejects.toMatchObject({ code: 'TLS_FAILED' })
    const connecting = standing.connect(REQUEST)
    await eventually(() => incoming.length === 1)
    incoming[0]!.accept('')
    await connecting
    silent[0]!.destroy()
    await eventually(() => transport.dial(targetOf(listener)))
    await eventually(() => sessions.length === 2)
  })

  it('gives up on a server that accepts and says nothing', async () => {
    const clock = new VirtualClock()
    const server = createTlsServer().listen(0, '127.0.0.1')
    cleanUp.push(() => server.close())
    await once(server, 'listening')
    server.removeAllListeners('connection')
    server.on('connection', (socket) => cleanUp.push(() => socket.destroy()))
    const { port } = server.address() as { port: number }
    const transport = new WsMtlsTransport({ clock, svids: new TestSvids() })
    const dialing = transport.dial(targetOf({ address: { host: '127.0.0.1', port } }))
    const failure = expect(dialing).rejects.toMatchObject({
      code: 'CONNECT_TIMEOUT',
      message: 'connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008',
    })
    await eventually(() => expect(clock.pending).toBe(1))
    await clock.advance(10_000)
    await failure
  })

  const heads: readonly { what: string; head: string; status: number }[] = [
    { what: 'another path', head: upgradeRequest({}, '/'), status: 404 },
    { what: 'no upgrade', head: upgradeRequest({ Upgrade: undefined }), status: 400 },
    { what: 'a short key', head: upgradeRequest({ 'Sec-WebSocket-Key': 'c2hvcnQ=' }), status: 400 },
    { what: 'an old version', head: upgradeRequest({ 'Sec-WebSocket-Version': '8' }), status: 426 },
    { what: 'another subprotocol', head: upgradeRequest({ 'Sec-WebSocket-Protocol': 'mqtt' }), status: 400 },
  ]
  it.each(heads)('answers a request with $what by $status', async ({ head, status }) => {
    const { listener, lines } = await listen()
    const socket = dialTls(listener, certificates.svid('default/curl'))
    socket.write(head)
    expect(await readAll(socket)).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(lines).toMatchObject([{ code: 'UPGRADE_REFUSED' }])
  })

  const noise: readonly { what: string; head: string }[] = [
    { what: 'an endless head', head: `GET /hbone HTTP/1.1\r\nX: ${'x'.repeat(5000)}` },
    { what: 'a field twice', head: upgradeRequest().replace('\r\n\r\n', '\r\nUpgrade: websocket\r\n\r\n') },
    { what: 'a folded field', head: upgradeRequest().replace('\r\n\r\n', '\r\n folded\r\n\r\n') },
    { what: 'a field without a name', head: upgradeRequest().replace('\r\n\r\n', '\r\n: x\r\n\r\n') },
  ]
  it.each(noise)('hangs up on $what', async ({ head }) => {
    const { listener, lines } = await listen()
    const socket = dialTls(listener, certificates.svid('default/curl'))
    socket.write(head)
    expect(await readAll(socket)).toBe('')
    expect(lines).toMatchObject([{ code: 'UPGRADE_REFUSED' }])
  })
})

describe('WsMtlsTransport beside the WebSocket library', () => {
  it('takes a tunnel from it, with masks and fragments of TLS as they come', async () => {
    const { listener, sessions, incoming } = await listen()
    const socket = new WebSocket('wss://pod/hbone', SUBPROTOCOL, {
      createConnection: () => dialTls(listener, certificates.svid('default/curl')),
      perMessageDeflate: false,
    })
    const frames: Buffer[] = []
    socket.on('message', (data) => frames.push(data as Buffer))
    await once(socket, 'open')
    const send = (type: number, stream: number, payload: Uint8Array) => {
      socket.send(Buffer.from([type, 0, 0, 0, stream, ...payload]))
    }
    send(FRAME.SETTINGS, 0, Uint8Array.from([0, 0, 0, 9, 0, 1, 0, 0, 0, 1, 0, 0]))
    send(FRAME.CONNECT, 1, encodeConnect(REQUEST))
    const sink = new Recorder()
    const stream = (await eventually(() => incoming[0])).accept('')
    stream.start(sink)
    send(FRAME.DATA, 1, Buffer.from('through a library'))
    await eventually(() => sink.content.toString() === 'through a library')
    stream.write(Buffer.alloc(60_000, 'y'))
    await eventually(() => frames.some((frame) => frame[0] === FRAME.DATA))
    expect(frames.find((frame) => frame[0] === FRAME.DATA)!.length).toBe(60_005)
    const pong = once(socket, 'pong')
    socket.ping('hello')
    expect(String((await pong)[0])).toBe('hello')
    socket.close()
    await eventually(() => !sessions[0]!.acceptsStreams)
  })

  it('gives a tunnel to it', async () => {
    const svid = certificates.svid('default/reviews')
    const server = createTlsServer({ cert: svid.chainPem, key: svid.privateKeyPem, minVersion: 'TLSv1.3' })
    const wss = new WebSocketServer({ noServer: true, handleProtocols: () => SUBPROTOCOL })
    const http = createHttpServer()
    server.on('secureConnection', (socket) => http.emit('connection', socket))
    const frames: Buffer[] = []
    http.on('upgrade', (request, socket, head) => {
      wss.handleUpgrade(request, socket, head, (ws) => ws.on('message', (data) => frames.push(data as Buffer)))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    cleanUp.push(() => server.close())
    const { port } = server.address() as { port: number }
    const transport = new WsMtlsTransport({ clock: systemClock, svids: new TestSvids() })
    const session = await transport.dial(targetOf({ address: { host: '127.0.0.1', port } }))
    session.connect(REQUEST).catch(() => {})
    await eventually(() => expect(frames.map((frame) => frame[0])).toEqual([FRAME.SETTINGS, FRAME.CONNECT]))
    expect(frames[1]!.subarray(5).toString()).toContain(REQUEST.authority)
    for (const client of wss.clients) client.terminate()
    await eventually(() => !session.acceptsStreams)
  })

  const answers: readonly { what: string; answer: string }[] = [
    { what: 'a refusal', answer: 'HTTP/1.1 503 Busy\r\n\r\n' },
    { what: 'another protocol', answer: 'HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n' },
    {
      what: 'an answer to somebody else',
      answer:
        'HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
    },
    { what: 'noise', answer: 'SSH-2.0-OpenSSH_9.2\r\n\r\n' },
    { what: 'an endless head', answer: `HTTP/1.1 101 X\r\nX: ${'x'.repeat(5000)}` },
  ]
  it.each(answers)('makes no tunnel of $what', async ({ answer }) => {
    const svid = certificates.svid('default/reviews')
    const server = createTlsServer({ cert: svid.chainPem, key: svid.privateKeyPem }, (socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.write(answer))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    cleanUp.push(() => server.close())
    const { port } = server.address() as { port: number }
    const transport = new WsMtlsTransport({ clock: systemClock, svids: new TestSvids() })
    const dialing = transport.dial(targetOf({ address: { host: '127.0.0.1', port } }))
    await expect(dialing).rejects.toMatchObject({ code: 'UPGRADE_REFUSED' })
  })
})
