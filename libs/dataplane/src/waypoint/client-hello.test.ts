import { Duplex } from 'node:stream'
import { connect } from 'node:tls'
import { SeededRandom } from '@ambient-lab/std'
import { expect, it } from 'vitest'
import { isHelloComplete, serverNameOfHello } from './client-hello.ts'
import { sniffProtocol } from './protocol-sniff.ts'

/** What Node's own TLS says first. */
function helloOf(servername: string | undefined): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, callback) {
        resolve(chunk)
        callback()
      },
    })
    connect({ socket, ...(servername !== undefined && { servername }) }).on('error', () => {})
  })
}

it.each(['reviews.default.svc.cluster.local', 'a.b', undefined])('the hello to %s says so', async (name) => {
  const hello = await helloOf(name)
  expect(isHelloComplete(hello)).toBe(true)
  expect(serverNameOfHello(hello)).toBe(name)
  expect(sniffProtocol(hello)).toBe('tls')
})

it('a hello that is cut or broken names nobody, and never more than it has', async () => {
  const hello = await helloOf('reviews.default')
  const random = new SeededRandom(9)
  for (let length = 0; length < hello.length; length += 1) {
    expect(isHelloComplete(hello.subarray(0, length))).toBe(false)
    serverNameOfHello(hello.subarray(0, length))
  }
  for (let run = 0; run < 5000; run += 1) {
    const broken = Buffer.from(hello)
    for (let flips = 0; flips < 4; flips += 1) broken[random.integer(broken.length)] = random.integer(256)
    expect(() => serverNameOfHello(broken)).not.toThrow()
  }
})

it.each([
  ['GET / HTTP/1.1\r\n', 'http1'],
  ['GE', undefined],
  ['GET', undefined],
  ['GET ', 'http1'],
  ['GET\t/', 'tcp'],
  ['M-SEARCH * HTTP/1.1', 'http1'],
  ['M', undefined],
  ['P', undefined],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http2'],
  ['PRI * ', undefined],
  ['PING\r\n', 'tcp'],
  ['*1\r\n$4\r\nPING\r\n', 'tcp'],
  ['\u0000\u0001', 'tcp'],
  ['', undefined],
])('%j begins %s', (text, expected) => {
  expect(sniffProtocol(Buffer.from(text, 'latin1'))).toBe(expected)
})
