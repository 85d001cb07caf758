import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AppBench, type RunningApp } from '../test-kit/app-bench.ts'

const bench = new AppBench()
let httpbin: RunningApp
beforeAll(async () => {
  httpbin = await bench.run('httpbin', 'docker.io/mccutchen/go-httpbin:v2.15.0', { ports: [8080] })
})
afterAll(() => bench[Symbol.asyncDispose]())

const body = async (path: string, init?: RequestInit) => (await httpbin.fetch(path, init)).json()

describe('tells a request back', () => {
  test('GET, with lists as values and canonical header names', async () => {
    const answer = await body('/get?b=2&a=1&a=3', { headers: { 'x-one': '1' } })
    expect(answer).toMatchObject({ args: { a: ['1', '3'], b: ['2'] }, method: 'GET', headers: { 'X-One': ['1'] } })
    expect(Object.keys((answer as { args: object }).args)).toEqual(['a', 'b'])
    expect((answer as { url: string }).url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/get\?b=2&a=1&a=3$/)
  })

  test.each([
    ['a form', new URLSearchParams({ k: 'v' }), undefined, { form: { k: ['v'] }, data: '' }],
    ['JSON', '{"a":1}', 'application/json', { json: { a: 1 }, data: '{"a":1}' }],
    ['broken JSON', '{', 'application/json', { json: null, data: '{' }],
    ['text', 'hi', 'text/plain', { data: 'hi' }],
    ['bytes', 'hi', 'application/x-y', { data: 'data:application/x-y;base64,aGk=' }],
  ])('POST of %s', async (_, payload, type, expected) => {
    const headers: Record<string, string> = type ? { 'content-type': type } : {}
    expect(await body('/post', { method: 'POST', body: payload, headers })).toMatchObject(expected)
  })

  test('X-Forwarded-For is the origin', async () => {
    expect(await body('/ip', { headers: { 'x-forwarded-for': '10.244.1.7, 10.0.0.1' } })).toEqual({
      origin: '10.244.1.7',
    })
  })

  test.each(['/anything', '/anything/deep/er', '/put'])('PUT %s', async (path) => {
    expect(await body(path, { method: 'PUT', body: 'x', headers: { 'content-type': 'text/plain' } })).toMatchObject({
      method: 'PUT',
      data: 'x',
    })
  })
})

describe('answers as told', () => {
  test.each([
    ['/status/204', 204],
    ['/status/418', 418],
    ['/status/503', 503],
    ['/status/500:1,200:0', 500],
    ['/status/abc', 400],
    ['/status/99', 400],
    ['/redirect/0', 400],
    ['/nothing-here', 404],
    ['/post', 405],
    ['/basic-auth/u/p', 401],
    ['/bearer', 401],
    ['/redirect-to', 400],
    ['/delay/1000', 400],
    ['/html', 200],
    ['/json', 200],
    ['/uuid', 200],
  ])('%s → %i', async (path, status) => {
    expect((await httpbin.fetch(path)).status).toBe(status)
  })

  test.each([
    ['/redirect/3', '/relative-redirect/2'],
    ['/redirect/1', '/get'],
    ['/redirect-to?url=http%3A%2F%2Fx%2Fy', 'http://x/y'],
    ['/cookies/set?a=1', '/cookies'],
  ])('%s redirects to %s', async (path, location) => {
    const response = await httpbin.fetch(path)
    expect([response.status, response.headers.get('location')]).toEqual([302, location])
  })

  test('basic authentication', async () => {
    const authorization = `Basic ${Buffer.from('u:p').toString('base64')}`
    expect(await body('/basic-auth/u/p', { headers: { authorization } })).toEqual({
      authenticated: true,
      authorized: true,
      user: 'u',
    })
  })

  test('cookies', async () => {
    expect(await body('/cookies', { headers: { cookie: 'a=1; b=2=3' } })).toEqual({ a: '1', b: '2=3' })
  })

  test('a stream of JSON lines, bounded', async () => {
    const lines = (await (await httpbin.fetch('/stream/3')).text()).trim().split('\n')
    expect(lines.map((line) => JSON.parse(line).id)).toEqual([0, 1, 2])
    expect((await (await httpbin.fetch('/stream/9999')).text()).trim().split('\n')).toHaveLength(100)
  })

  test('bytes, bounded', async () => {
    expect((await (await httpbin.fetch('/bytes/10')).arrayBuffer()).byteLength).toBe(10)
    expect((await (await httpbin.fetch('/bytes/99999999')).arrayBuffer()).byteLength).toBe(102_400)
  })

  test('gzip', async () => {
    expect(await body('/gzip')).toMatchObject({ gzipped: true })
  })

  test('a short delay', async () => {
    expect(await body('/delay/10ms')).toMatchObject({ method: 'GET' })
  })

  test('HEAD has no body', async () => {
    expect(await (await httpbin.fetch('/get', { method: 'HEAD' })).text()).toBe('')
  })
})
