import { connect } from 'node:http2'
import { ProtoMessage, ProtoWriter } from '@ambient-lab/dataplane'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HostPort } from '../hosting/container.ts'
import { AppBench } from '../test-kit/app-bench.ts'

let bench: AppBench
beforeEach(() => {
  bench = new AppBench()
})
afterEach(() => bench[Symbol.asyncDispose]())

const DENIAL = 'denied by ext_authz for not found header `x-ext-authz: allow` in the request'

describe('over HTTP', () => {
  test.each([
    { title: 'the header', headers: { 'x-ext-authz': 'allow' }, status: 200, result: 'allowed', body: '' },
    { title: 'another value', headers: { 'x-ext-authz': 'deny' }, status: 403, result: 'denied', body: DENIAL },
    { title: 'nothing', headers: {}, status: 403, result: 'denied', body: DENIAL },
  ])('$title: $result', async ({ headers, status, result, body }) => {
    const app = await bench.run('ext-authz', 'istio/ext-authz')
    const reply = await app.fetch('/x', { headers: headers as Record<string, string> })
    const received = reply.headers.get('x-ext-authz-check-received')
    expect([reply.status, reply.headers.get('x-ext-authz-check-result'), await reply.text()]).toEqual([
      status,
      result,
      body,
    ])
    expect(received).toMatch(/^GET 127\.0\.0\.\d+:\d+\/x, headers: /)
  })
})

describe('over gRPC', () => {
  test.each<{ title: string; headers: Record<string, string>; principal: string; code: number; result: string }>([
    { title: 'the header', headers: { 'x-ext-authz': 'allow' }, principal: '', code: 0, result: 'allowed' },
    { title: 'the account', headers: {}, principal: 'spiffe://td/ns/default/sa/a', code: 0, result: 'allowed' },
    { title: 'another account', headers: {}, principal: 'spiffe://td/ns/default/sa/b', code: 7, result: 'denied' },
  ])('$title: $result', async ({ headers, principal, code, result }) => {
    const app = await bench.run('ext-authz', 'istio/ext-authz')
    const response = await check(app.container.ports['9000']!, headers, principal)
    const outcome = response.message(code === 0 ? 3 : 2)!
    const options = outcome.messages(2).map((option) => option.message(1)!)
    expect(response.message(1)?.uint(1) ?? 0).toBe(code)
    expect(options.find((header) => header.string(1) === 'x-ext-authz-check-result')?.string(2)).toBe(result)
    if (code !== 0) expect([outcome.message(1)?.uint(1), outcome.string(3)]).toEqual([403, DENIAL])
  })
})

function check({ host, port }: HostPort, headers: Record<string, string>, principal: string): Promise<ProtoMessage> {
  const message = new ProtoWriter()
    .message(1, (attributes) =>
      attributes
        .message(1, (source) => source.string(4, principal))
        .message(4, (wrapper) =>
          wrapper.message(2, (http) => http.string(2, 'GET').entries(3, Object.entries(headers))),
        ),
    )
    .finish()
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return new Promise((resolve, reject) => {
    const session = connect(`http://${host}:${port}`)
    session.on('error', reject)
    const stream = session.request({
      ':method': 'POST',
      ':path': '/envoy.service.auth.v3.Authorization/Check',
      'content-type': 'application/grpc',
    })
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('end', () => {
      session.close()
      resolve(new ProtoMessage(Buffer.concat(chunks).subarray(5)))
    })
    stream.end(Buffer.concat([head, message]))
  })
}
