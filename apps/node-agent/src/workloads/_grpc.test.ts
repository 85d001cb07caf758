import { once } from 'node:events'
import { connect } from 'node:http2'
import { KiB, MiB } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import { GrpcChecker } from '@ambient-lab/testing/grpc'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import type { HostPort } from '../hosting/container.ts'
import type { AppRequest } from '../hosting/workload.ts'
import { AppBench } from '../test-kit/app-bench.ts'
import { GrpcStatus, serveUnary } from './_grpc.ts'

const CHECK = '/envoy.service.auth.v3.Authorization/Check'

let bench: AppBench
beforeEach(() => {
  bench = new AppBench()
})
afterEach(() => bench[Symbol.asyncDispose]())

async function authorizer(): Promise<HostPort> {
  const app = await bench.run('ext-authz', 'istio/ext-authz')
  return app.container.ports['9000']!
}

const about = (headers: Record<string, string>) => ({ attributes: { request: { http: { method: 'GET', headers } } } })
const ALLOWED = about({ 'x-ext-authz': 'allow' })

describe('a client on grpc-js', () => {
  it('is answered, call after call on one connection', async () => {
    using checker = new GrpcChecker(await authorizer())
    const metadata = { 'x-request-id': '1' }
    for (let call = 0; call < 5; call += 1) {
      expect(await checker.check(ALLOWED, { metadata })).toMatchObject({
        ...{ code: 0, details: '', response: { ok_response: { headers: expect.any(Array) } } },
      })
      expect(await checker.check(about({}))).toMatchObject({ response: { status: { code: 7 }, denied_response: {} } })
    }
  })

  it('is answered many calls at once', async () => {
    using checker = new GrpcChecker(await authorizer())
    const calls = Array.from({ length: 100 }, (_, index) =>
      checker.check(about(index % 2 ? { 'x-ext-authz': 'allow' } : {})),
    )
    const codes = (await Promise.all(calls)).map(({ response }) => (response!.status as { code?: number }).code ?? 0)
    expect(codes).toEqual(calls.map((_, index) => (index % 2 ? 0 : 7)))
  })

  it('may say much, and hears when it is too much', async () => {
    using checker = new GrpcChecker(await authorizer())
    const long = (bytes: number) => about({ 'x-ext-authz': 'allow', 'x-long': 'x'.repeat(bytes) })
    expect(await checker.check(long(3 * MiB))).toMatchObject({ code: 0 })
    const refused = await checker.check(long(5 * MiB))
    expect(refused).toMatchObject({
      code: 8,
      details: expect.stringMatching(/^message larger than max \(52429\d\d vs. 4194304\)/),
    })
    expect(await checker.check(long(9 * MiB))).toMatchObject({ code: 8 })
    expect(await checker.check(ALLOWED)).toMatchObject({ code: 0 })
  })

  it('that compresses hears that nobody reads that', async () => {
    using checker = new GrpcChecker(await authorizer(), { compression: 2 })
    const outcome = await checker.check(ALLOWED)
    expect(outcome).toMatchObject({ code: 12, details: 'messages compressed with gzip are not read' })
  })

  it('that cannot wait gives up by itself', async () => {
    using checker = new GrpcChecker({ host: '127.0.0.1', port: 9 })
    expect((await checker.check(ALLOWED, { deadlineMs: 50 })).code).toBeOneOf([4, 14])
  })

  it('finds its way when the app ends and another one takes its place', async () => {
    const first = await bench.run('ext-authz', 'istio/ext-authz')
    using checker = new GrpcChecker(first.container.ports['9000']!)
    expect(await checker.check(ALLOWED)).toMatchObject({ code: 0 })
    await first.container.stop()
    await eventually(async () => expect((await checker.check(ALLOWED)).code).toBe(14))
  })
})

describe('a call that is none', () => {
  async function call(path: string, body: Buffer, headers: Record<string, string> = {}) {
    const { host, port } = await authorizer()
    const session = connect(`http://${host}:${port}`)
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', ...headers })
    stream.end(body)
    let trailers: Record<string, unknown> = {}
    stream.on('trailers', (fields) => {
      trailers = fields
    })
    const [head] = await once(stream, 'response')
    stream.resume()
    await once(stream, 'close')
    session.close()
    return { ...head, ...trailers }
  }
  const frame = (flag: number, length: number, bytes = length) => {
    const message = Buffer.alloc(5 + bytes)
    message[0] = flag
    message.writeUInt32BE(length, 1)
    return message
  }

  test.each<[title: string, path: string, body: Buffer, status: string, message: RegExp]>([
    ['another method', '/envoy.service.auth.v3.Authorization/Ask', frame(0, 0), '12', /unknown method/],
    ['a property of every object', '/toString', frame(0, 0), '12', /unknown method/],
    ['another service', '/a.B/Check', frame(0, 0), '12', /unknown method/],
    ['nothing', CHECK, Buffer.alloc(0), '13', /no message/],
    ['half a prefix', CHECK, Buffer.alloc(3), '13', /no message/],
    ['a message cut short', CHECK, frame(0, 10, 5), '13', /cut short/],
    ['two messages', CHECK, Buffer.concat([frame(0, 0), frame(0, 0)]), '13', /more than one/],
    ['a flag that is none', CHECK, frame(2, 0), '13', /compressed flag 2/],
    ['a compressed one', CHECK, frame(1, 0), '12', /compressed with identity/],
    ['no protobuf', CHECK, Buffer.from([0, 0, 0, 0, 1, 0xff]), '13', /not a message/],
  ])('%s is told so', async (_title, path, body, status, message) => {
    const answer = await call(path, body)
    expect(answer).toMatchObject({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': status })
    expect(answer['grpc-message']).toMatch(message)
    expect(answer['grpc-accept-encoding']).toBe('identity')
  })

  it('whole ends with its status behind the message', async () => {
    const answer = await call(CHECK, frame(0, 0))
    expect(answer).toMatchObject({ ':status': 200, 'grpc-status': '0' })
    expect(answer).not.toHaveProperty('grpc-message')
  })
})

it('percent-encodes what a status says, and tells what a method throws', async () => {
  const request = { path: '/a', headers: {}, body: () => Promise.resolve(Buffer.alloc(5)) } as unknown as AppRequest
  const told = async (method: () => Uint8Array | { status: '3'; text: string }) =>
    (await serveUnary(request, { '/a': method })).trailers
  expect(await told(() => ({ status: GrpcStatus.invalidArgument, text: '50 % grün\n\ud800' }))).toMatchObject({
    ...{ 'grpc-status': '3', 'grpc-message': '50 %25 gr%C3%BCn%0A%EF%BF%BD' },
  })
  const thrown = await told(() => {
    throw new Error('x'.repeat(2 * KiB))
  })
  expect(thrown).toMatchObject({ 'grpc-status': '2', 'grpc-message': 'x'.repeat(2 * KiB) })
})
