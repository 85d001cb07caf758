import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as http2Connect } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { ProtoMessage } from '@ambient-lab/dataplane'
import { TestCertificates } from '@ambient-lab/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HostPort } from '../hosting/container.ts'
import { AppBench } from '../test-kit/app-bench.ts'

let bench: AppBench
beforeEach(() => {
  bench = new AppBench()
})
afterEach(() => bench[Symbol.asyncDispose]())

const GRPC_ECHO = '/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho'

describe('echo over HTTP', () => {
  test('says what it received and who it is', async () => {
    const app = await bench.run('echo', 'echo')
    const reply = await (await app.fetch('/a?b=c', { headers: { 'x-one': '1' } })).json()
    expect(reply).toMatchObject({ path: '/a?b=c', method: 'GET', proto: 'HTTP/1.1', pod: 'echo-pod' })
    expect(reply).toMatchObject({ namespace: 'default', headers: { 'X-One': ['1'] } })
  })

  test('sets the headers that it is asked for', async () => {
    const app = await bench.run('echo', 'echo')
    const { headers } = await app.fetch('/', { headers: { 'x-echo-set-header': 'a:1,b:x:y, a:2,not a name:3' } })
    expect([headers.get('a'), headers.get('b'), headers.get('not')]).toEqual(['1,2', 'x:y', null])
  })

  test('fails the first requests of an id, each id for itself', async () => {
    const app = await bench.run('echo', 'echo')
    const status = async (id: string) => (await app.fetch(`/?responseCode=503&succeedAfter=2&uuid=${id}`)).status
    expect([await status('a'), await status('a'), await status('b'), await status('a')]).toEqual([503, 503, 503, 200])
  })

  test('cuts the connection where no status is asked for', async () => {
    const app = await bench.run('echo', 'echo')
    await expect(app.fetch('/?succeedAfter=1&uuid=a')).rejects.toThrow()
    expect((await app.fetch('/?succeedAfter=1&uuid=a')).status).toBe(200)
  })

  test('speaks HTTP/2 to who starts with its preface', async () => {
    const app = await bench.run('echo', 'echo')
    const { body } = await overHttp2(app.container.ports['3001']!, { ':path': '/x' })
    expect(JSON.parse(body.toString())).toMatchObject({ path: '/x', proto: 'HTTP/2.0' })
  })
})

describe('echo over WebSocket', () => {
  test.each(['', 'hello', 'x'.repeat(200), 'y'.repeat(70_000)])('sends a message back', async (text) => {
    const app = await bench.run('echo', 'echo')
    const { host, port } = app.container.ports['3000']!
    const socket = new WebSocket(`ws://${host}:${port}/ws`)
    await new Promise((resolve) => socket.addEventListener('open', resolve))
    const answer = new Promise((resolve) => socket.addEventListener('message', ({ data }) => resolve(data)))
    socket.send(text)
    expect(await answer).toBe(text)
    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve))
    socket.close(1000)
    expect((await closed).code).toBe(1000)
  })

  test('is elsewhere no protocol of it', async () => {
    const app = await bench.run('echo', 'echo')
    const { host, port } = app.container.ports['3000']!
    const socket = new WebSocket(`ws://${host}:${port}/other`)
    await new Promise((resolve) => socket.addEventListener('error', resolve))
  })

  test('a frame that is not masked, or too long, ends the connection', async () => {
    const app = await bench.run('echo', 'echo')
    for (const frame of ['\x81\x05hello', '\x81\xff\x00\x00\x00\x7f\x00\x00\x00\x00']) {
      const socket = connect(app.container.ports['3000']!)
      const lines = ['GET /ws HTTP/1.1', 'host: a', 'upgrade: websocket', 'connection: upgrade', 'sec-websocket-key: x']
      socket.write(`${[...lines, '', ''].join('\r\n')}${frame}`, 'latin1')
      const chunks: Buffer[] = []
      for await (const chunk of socket) chunks.push(chunk as Buffer)
      expect(Buffer.concat(chunks).toString('latin1')).toMatch(/^HTTP\/1.1 101 .*\r\n\r\n$/s)
    }
  })
})

describe('echo over gRPC', () => {
  test.each([
    ['Echo', '0', 'echo-pod'],
    ['EchoTwo', '0', 'echo-pod'],
    ['EchoThree', '12', undefined],
  ])('%s ends with %s', async (method, status, pod) => {
    const app = await bench.run('echo', 'echo', { env: { GRPC_ECHO_SERVER: '1' } })
    const head = { ':method': 'POST', ':path': `${GRPC_ECHO}/${method}`, 'content-type': 'application/grpc' }
    const { body, trailers } = await overHttp2(app.container.ports['3000']!, head)
    expect(trailers['grpc-status']).toBe(status)
    const answer = body.length > 0 ? new ProtoMessage(body.subarray(5)).message(1) : undefined
    expect(answer?.message(4)?.string(4)).toBe(pod)
  })
})

describe('echo over TCP', () => {
  test.each([
    ['3000', false],
    ['8443', true],
  ])('port %s says whether it is behind TLS', async (port, isTls) => {
    const folder = mkdtempSync(join(tmpdir(), 'echo-'))
    try {
      const { chainPem, privateKeyPem } = new TestCertificates().svid('a/b')
      const [TLS_SERVER_CERT, TLS_SERVER_PRIV_KEY] = [join(folder, 'crt'), join(folder, 'key')]
      writeFileSync(TLS_SERVER_CERT, chainPem)
      writeFileSync(TLS_SERVER_PRIV_KEY, privateKeyPem)
      const env = { TCP_ECHO_SERVER: '1', TLS_SERVER_CERT, TLS_SERVER_PRIV_KEY }
      const app = await bench.run('echo', 'echo', { env })
      const target = app.container.ports[port]!
      const socket = isTls
        ? tlsConnect({ ...target, servername: 'abc.example.com', rejectUnauthorized: false })
        : connect(target)
      const [greeting, answer, pong] = (await exchange(socket, 'TEST\nnonsense\nPING\n')).split('\n')
      expect([greeting, pong]).toEqual(['Gateway API Test TCP Server', 'PONG'])
      expect(JSON.parse(answer!)).toMatchObject({ pod: 'echo-pod', isTLS: isTls })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

async function exchange(socket: Socket, text: string): Promise<string> {
  socket.end(text)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

async function overHttp2({ host, port }: HostPort, head: Record<string, string>) {
  const session = http2Connect(`http://${host}:${port}`)
  const stream = session.request(head)
  if (head[':method'] === 'POST') stream.end(Buffer.alloc(5))
  let trailers: Record<string, unknown> = {}
  stream.on('trailers', (received) => {
    trailers = received
  })
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  session.close()
  return { body: Buffer.concat(chunks), trailers }
}
