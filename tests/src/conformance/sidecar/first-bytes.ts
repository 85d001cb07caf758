import { Duplex } from 'node:stream'
import { connect } from 'node:tls'
import type { SimulatedCall } from '../gateway-conversion/routing.ts'

/** The connection preface of HTTP/2, empty settings, and `GET /` in the names of HPACK's static table (RFC 9113, 7541). */
function http2Request(authority: string): Buffer {
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])
  const block = Buffer.concat([Buffer.from([0x82, 0x86, 0x84, 0x41, authority.length]), Buffer.from(authority)])
  const endStreamAndHeaders = 5
  const head = Buffer.from([0, 0, block.length, 1, endStreamAndHeaders, 0, 0, 0, 1])
  return Buffer.concat([preface, settings, head, block])
}

/** What Node's own TLS says first. */
function clientHello(serverName: string): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, callback) {
        resolve(chunk)
        callback()
      },
    })
    connect({ socket, servername: serverName }).on('error', () => {})
  })
}

/** What a client of a call says first. Mutual TLS is the tunnel's: inside of it there is the plain protocol. */
export async function firstBytes(call: SimulatedCall): Promise<Uint8Array> {
  const { protocol, tls, sni, hostHeader = 'foo.bar', path = '/', headers = {} } = call
  if (tls === 'tls') return clientHello(sni ?? hostHeader)
  if (protocol === 'http2') return http2Request(hostHeader)
  if (protocol === 'tcp' || protocol === undefined) return Buffer.from('some bytes\n')
  const lines = Object.entries(headers).flatMap(([name, values]) => values.map((value) => `${name}: ${value}\r\n`))
  return Buffer.from(`GET ${path} HTTP/1.1\r\nhost: ${hostHeader}\r\nconnection: close\r\n${lines.join('')}\r\n`)
}
