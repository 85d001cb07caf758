import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { createServer, type Server } from 'node:tls'
import { CodedError } from '@ambient-lab/std'
import { TestCertificates } from '@ambient-lab/testing'
import type { UpstreamTls } from '@ambient-lab/xds'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ByteStream } from '../../stream/byte-stream.ts'
import { NodeStream } from '../../stream/node-stream.ts'
import { TlsOrigination } from './tls-origination.ts'

const certificates = new TestCertificates()
const server = certificates.svid('shop/web')
const client = certificates.svid('shop/gateway')
const caPem = certificates.bundle.rootsPem.join('\n')
const WEB = 'spiffe://cluster.local/ns/shop/sa/web'
const TRUSTED: UpstreamTls = { mode: 'SIMPLE', subjectAltNames: [WEB], caPem, insecureSkipVerify: false }

/** Answers each connection with what it knows of the client. */
let backend: Server

beforeAll(async () => {
  backend = createServer(
    {
      ...{ key: server.privateKeyPem, cert: server.chainPem, ca: caPem },
      ...{ requestCert: true, rejectUnauthorized: false, ALPNProtocols: ['h2', 'http/1.1'] },
    },
    (socket) => {
      const { subjectaltname = '' } = socket.getPeerCertificate()
      socket.end(`${socket.servername || '-'} ${socket.alpnProtocol || '-'} ${subjectaltname || '-'}`)
    },
  )
  backend.on('tlsClientError', () => {})
  await once(backend.listen(0, '127.0.0.1'), 'listening')
})
afterAll(() => {
  backend.close()
})

async function ask(tls: UpstreamTls, signal = new AbortController().signal): Promise<string> {
  const raw = connect((backend.address() as AddressInfo).port, '127.0.0.1')
  await once(raw, 'connect')
  const stream = await new TlsOrigination(tls).start(new NodeStream(raw), ['http/1.1'], signal)
  return read(stream)
}

function read(stream: ByteStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    stream.start({
      onData: (chunk) => {
        text += Buffer.from(chunk).toString()
      },
      onEnd: () => {
        stream.end()
        resolve(text)
      },
      onClose: reject,
      onDrain: () => {},
    })
    stream.resume()
  })
}

describe('TLS to a host', () => {
  test.each<[string, Partial<UpstreamTls>, string]>([
    ['one of the names is enough', { subjectAltNames: ['other.example', WEB] }, '- http/1.1 -'],
    ['the server name is sent', { sni: 'web.example' }, 'web.example http/1.1 -'],
    ['without any name all certificates of the authority are good', { subjectAltNames: [] }, '- http/1.1 -'],
    ['nothing is verified where nothing shall be', { caPem: '', insecureSkipVerify: true }, '- http/1.1 -'],
    [
      'a certificate is presented',
      { mode: 'MUTUAL', certificatePem: client.chainPem, keyPem: client.privateKeyPem },
      '- http/1.1 URI:spiffe://cluster.local/ns/shop/sa/gateway',
    ],
  ])('%s', async (_, change, answer) => {
    expect(await ask({ ...TRUSTED, ...change })).toBe(answer)
  })

  test.each<[string, Partial<UpstreamTls>]>([
    ['an authority that is not trusted', { caPem: new TestCertificates().bundle.rootsPem.join('\n') }],
    ['no authority at all', { caPem: '' }],
    ['names that it does not have', { subjectAltNames: ['other.example', 'spiffe://cluster.local/ns/shop/sa/other'] }],
    ['a server name that it does not have', { subjectAltNames: [], sni: 'web.example' }],
  ])('%s is refused', async (_, change) => {
    await expect(ask({ ...TRUSTED, ...change })).rejects.toMatchObject({ code: 'TLS_FAILED', origin: 'upstream' })
  })

  test('ends with who gave it up', async () => {
    const reason = new CodedError('CONNECT_TIMEOUT', 'too late')
    await expect(ask(TRUSTED, AbortSignal.abort(reason))).rejects.toBe(reason)
  })

  test('a certificate that is none is told at once', () => {
    const broken = { ...TRUSTED, certificatePem: 'nonsense', keyPem: 'nonsense' }
    expect(() => new TlsOrigination(broken)).toThrow(expect.objectContaining({ code: 'CERTIFICATE_MALFORMED' }))
  })
})
