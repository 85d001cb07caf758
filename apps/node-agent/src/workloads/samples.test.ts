import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HostPort } from '../hosting/container.ts'
import { findWorkload, imageRepository, knownImages } from '../hosting/images.ts'
import { AppBench } from '../test-kit/app-bench.ts'

let bench: AppBench
beforeEach(() => {
  bench = new AppBench()
})
afterEach(() => bench[Symbol.asyncDispose]())

/** Sends text, half-closes, and reads to the end. */
async function exchange(target: HostPort, text: string): Promise<string> {
  const socket: Socket = connect({ ...target, allowHalfOpen: true })
  socket.end(text)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

describe('images', () => {
  test.each([
    ['docker.io/curlimages/curl:8.16.0', 'curl'],
    ['curl', 'curl'],
    ['registry.istio.io/release/examples-bookinfo-reviews-v3:1.20.3', 'bookinfo-reviews'],
    ['localhost:5000/examples-helloworld-v1@sha256:00ff', 'helloworld'],
    ['registry.k8s.io/gateway-api/conformance/echo-basic:v0.1.0', 'echo'],
    ['registry.istio.io/release/tcp-echo-server:1.3', 'tcp-echo'],
    ['docker.io/kennethreitz/httpbin', 'httpbin'],
    ['redis:alpine', 'redis'],
    ['envoyproxy/ratelimit:30a4ce1a', 'rate-limit'],
    ['examples-bookinfo-mongodb:1', undefined],
    ['notcurl', undefined],
    ['', undefined],
  ])('%s is %s', (image, name) => {
    expect(findWorkload(image)?.name).toBe(name)
  })

  test('a registry’s port is no tag', () => {
    expect(imageRepository('localhost:5000/a/b')).toBe('localhost:5000/a/b')
  })

  test('no pattern stands twice', () => {
    expect(new Set(knownImages()).size).toBe(knownImages().length)
  })
})

describe('helloworld', () => {
  test.each(['v1', 'v2'])('%s says who it is', async (version) => {
    const app = await bench.run('helloworld', `registry.istio.io/release/examples-helloworld-${version}:1.0`)
    expect(await (await app.fetch('/hello')).text()).toBe(`Hello version: ${version}, instance: helloworld-pod\n`)
  })

  test('SERVICE_VERSION decides', async () => {
    const app = await bench.run('helloworld', 'examples-helloworld-v1', { env: { SERVICE_VERSION: 'v7' } })
    expect(await (await app.fetch('/hello')).text()).toContain('version: v7')
  })
})

describe('tcp-echo', () => {
  test('puts the prefix before each line, on every port of its arguments', async () => {
    const { container } = await bench.run('tcp-echo', 'tcp-echo-server', { args: ['9000,9001', 'hello'] })
    expect(Object.keys(container.ports)).toEqual(['9000', '9001'])
    expect(await exchange(container.ports['9001']!, 'world\nagain\nunfinished')).toBe('hello world\nhello again\n')
  })

  test('without a prefix gives back every byte', async () => {
    const { container } = await bench.run('tcp-echo', 'tcp-echo-server', { args: ['9000'] })
    const text = 'a line\nand a piece'.repeat(5000)
    expect(await exchange(container.ports['9000']!, text)).toBe(text)
  })
})

describe('redis', () => {
  const NO = /^-ERR this lab's redis keeps nothing: .*$/
  test.each([
    ['PING\r\n', ['+PONG']],
    ['*1\r\n$4\r\nping\r\n', ['+PONG']],
    ['*2\r\n$4\r\nPING\r\n$1\r\na\r\nPING\r\n', ['+PONG', '+PONG']],
    ['*3\r\n$3\r\nSET\r\n$4\r\nPING\r\n$1\r\nb\r\n*1\r\n$4\r\nPING\r\n', [NO, '+PONG']],
    ['GET a\nPING\n', [NO, '+PONG']],
    ['\r\n*x\r\nPING\r\n', ['+PONG']],
    ['x'.repeat(1000), ['-ERR Protocol error: too big inline request']],
  ])('%j is answered %j', async (sent, expected) => {
    const { container } = await bench.run('redis', 'docker.io/redis:alpine')
    const lines = (await exchange(container.ports['6379']!, sent)).split('\r\n')
    expect(lines.pop()).toBe('')
    expect(lines).toEqual(expected.map((line) => (typeof line === 'string' ? line : expect.stringMatching(line))))
  })
})

describe('lab apps', () => {
  test('curl listens nowhere', async () => {
    const { container } = await bench.run('curl', 'docker.io/curlimages/curl:8.16.0', { ports: [80] })
    expect(container.ports).toEqual({})
  })

  test('echo answers in echo-basic’s shape', async () => {
    const app = await bench.run('echo', 'gcr.io/k8s-staging-gateway-api/conformance/echo-basic:v1')
    expect(await (await app.fetch('/a?b=c', { headers: { 'x-y': 'z' } })).json()).toMatchObject({
      path: '/a?b=c',
      method: 'GET',
      proto: 'HTTP/1.1',
      namespace: 'default',
      pod: 'echo-pod',
      headers: { 'X-Y': ['z'] },
    })
  })

  test('flaky fails as often as told', async () => {
    const always = await bench.run('always', 'ambient-lab/flaky', { env: { FAIL_PERCENT: '100', FAIL_STATUS: '500' } })
    const never = await bench.run('never', 'ambient-lab/flaky', { env: { FAIL_PERCENT: '0' } })
    expect((await always.fetch('/')).status).toBe(500)
    expect((await always.fetch('/health')).status).toBe(200)
    expect((await never.fetch('/')).status).toBe(200)
  })

  test('slow takes what the caller asks', async () => {
    const app = await bench.run('slow', 'ambient-lab/slow')
    expect(await (await app.fetch('/?delay=1ms')).json()).toMatchObject({ delay_ms: 1 })
  })

  test('an app without that habit reuses its connections', async () => {
    await bench.run('last', 'ambient-lab/chain')
    const first = await bench.run('first', 'ambient-lab/chain', { env: { NEXT: 'http://last:8080/' } })
    await (await first.fetch('/')).json()
    await (await first.fetch('/')).json()
    expect(bench.mesh.connections).toEqual(['first>last:8080'])
  })

  test('chain tells the whole way, and where it broke', async () => {
    await bench.run('last', 'ambient-lab/chain')
    await bench.run('middle', 'ambient-lab/chain', { env: { NEXT: 'http://last:8080/' } })
    const first = await bench.run('first', 'ambient-lab/chain', { env: { NEXT: 'http://middle:8080/' } })
    expect(await (await first.fetch('/')).json()).toEqual({
      pod: 'first-pod',
      status: 200,
      next: { pod: 'middle-pod', status: 200, next: { pod: 'last-pod' } },
    })
    bench.mesh.refused.set('middle', 2)
    const broken = await bench.run('broken', 'ambient-lab/chain', { env: { NEXT: 'http://middle:8080/' } })
    expect(await (await broken.fetch('/')).json()).toMatchObject({ code: 'DENIED' })
  })
})
