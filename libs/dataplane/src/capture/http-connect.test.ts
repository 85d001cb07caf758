import { SeededRandom } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { HTTP_CONNECT_HEAD_BYTES_MAX } from '../limits.ts'
import { httpConnectAnswer, parseHttpConnect } from './http-connect.ts'

const parse = (text: string) => parseHttpConnect(Buffer.from(text, 'latin1'))

describe('parseHttpConnect', () => {
  it.each([
    ['CONNECT reviews:9080 HTTP/1.1\r\nHost: reviews:9080\r\n\r\n', 'reviews', 9080],
    [
      'CONNECT 10.96.0.1:80 HTTP/1.1\r\nhost: x\r\nUser-Agent: curl/8\r\nProxy-Connection: Keep-Alive\r\n\r\n',
      '10.96.0.1',
      80,
    ],
    ['CONNECT [fd00::1]:443 HTTP/1.1\r\nHost:\r\n\r\n', 'fd00::1', 443],
    ['CONNECT old:80 HTTP/1.0\r\n\r\n', 'old', 80],
    ['CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n', 'a', 80],
  ])('reads %j', (head, host, port) => {
    expect(parse(`${head}GET / HTTP/1.1`)).toEqual({ consumed: head.length, host, port })
    for (let length = 0; length < head.length; length += 1) expect(parse(head.slice(0, length))).toBeUndefined()
  })

  it.each([
    ['bare LF', 'CONNECT a:80 HTTP/1.1\nHost: a\n\n', 400],
    ['bare CR', 'CONNECT a:80 HTTP/1.1\rHost: a\r\n\r\n', 400],
    ['folding', 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n b\r\n\r\n', 400],
    ['space before the colon', 'CONNECT a:80 HTTP/1.1\r\nHost : a\r\n\r\n', 400],
    ['no Host', 'CONNECT a:80 HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    ['a body', 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
    ['a length', 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc', 400],
    ['a NUL', 'CONNECT a:80 HTTP/1.1\r\nHost: a\0b\r\n\r\n', 400],
    ['no port', 'CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['port 0', 'CONNECT a:0 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['two spaces', 'CONNECT  a:80 HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['another version', 'CONNECT a:80 HTTP/2.0\r\nHost: a\r\n\r\n', 400],
    ['an origin-form request', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['an absolute-form request', 'GET http://reviews:9080/ HTTP/1.1\r\nHost: reviews\r\n\r\n', 405],
  ])('refuses %s', (_what, request, status) => {
    expect(parse(request)).toMatchObject({ refused: status })
  })

  it('bounds the head', () => {
    const long = `CONNECT a:80 HTTP/1.1\r\nHost: ${'a'.repeat(HTTP_CONNECT_HEAD_BYTES_MAX)}`
    expect(parse(long)).toMatchObject({ refused: 431 })
    expect(parse(`${long}\r\n\r\n`)).toMatchObject({ refused: 431 })
  })

  it('never throws on anything', () => {
    const random = new SeededRandom(7)
    const seed = Buffer.from('CONNECT reviews:9080 HTTP/1.1\r\nHost: reviews\r\nA: b\r\n\r\n')
    for (let round = 0; round < 20_000; round += 1) {
      const mutant = Uint8Array.from(seed)
      for (let edit = random.integer(4); edit >= 0; edit -= 1)
        mutant[random.integer(mutant.length)] = random.integer(256)
      const step = parseHttpConnect(mutant)
      if (step && 'consumed' in step) expect(step.consumed).toBeLessThanOrEqual(mutant.length)
    }
  })
})

describe('httpConnectAnswer', () => {
  it('has nothing behind a 200', () => {
    expect(Buffer.from(httpConnectAnswer(200)).toString()).toBe('HTTP/1.1 200 Connection Established\r\n\r\n')
  })

  it('gives the reason as header and body, on one line whatever it says', () => {
    const answer = Buffer.from(httpConnectAnswer(403, 'denied by: a\r\nx: y')).toString()
    expect(answer).toContain('HTTP/1.1 403 Forbidden\r\nx-ambient-reason: denied by: a??x: y\r\n')
    expect(answer).toMatch(/content-length: 19\r\nconnection: close\r\n\r\ndenied by: a\?\?x: y\n$/)
    expect(Buffer.from(httpConnectAnswer(405)).toString()).toContain('allow: CONNECT')
  })
})
