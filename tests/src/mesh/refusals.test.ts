import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { eventually, TestCertificates } from '@ambient-lab/testing'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { items, node } from './objects.ts'

let lab: AmbientLab
let target: { host: string; port: number; servername: string }
/** Of the agent that is knocked at. */
let log: string

beforeAll(async () => {
  lab = new AmbientLab()
  await lab.ok('up', 'demo', '--wait')
  const pod = (await items<{ nodeName: string }>(lab, 'pods', '-l', 'app=details'))[0]!
  const { agent } = await node(lab, pod.spec.nodeName)
  log = `node-${pod.spec.nodeName}`
  const podIp = String(pod.status!.podIP)
  target = { ...agent!.hbone, servername: `${podIp.replaceAll('.', '-')}.default.pod.cluster.local` }
})

afterAll(() => lab[Symbol.asyncDispose]())

/** Ends when the server hung up; what the agent logged meanwhile is the evidence. */
async function knock(client: { cert?: string; key?: string }): Promise<void> {
  const socket: TLSSocket = connect({
    ...target,
    ...client,
    minVersion: 'TLSv1.3',
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  })
  socket.on('error', () => {}) // a reset is one of the ways of being refused
  socket.on('secureConnect', () => {
    socket.write(
      'GET /hbone HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: hbone.v1\r\n\r\n',
    )
  })
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  await once(socket, 'close')
  expect(answer).not.toContain('101')
}

const strangers = new TestCertificates()
const others = new TestCertificates({ trustDomain: 'other.example' })
const pem = (svid: ReturnType<TestCertificates['svid']>) => ({ cert: svid.chainPem, key: svid.privateKeyPem })

test.each([
  ['no certificate', () => ({}), /no certificate|did not present a certificate|NO_CLIENT_CERTIFICATE/i],
  [
    'a certificate of nobody we trust',
    () => pem(strangers.svid('default/curl')),
    /untrusted|unknown issuer|self.signed|unable to get|CERT_UNTRUSTED/i,
  ],
  [
    'a certificate of another trust domain',
    () => pem(others.svid('default/curl')),
    /trust ?domain|untrusted|unable to get/i,
  ],
  ['an expired certificate', () => pem(strangers.expiredSvid('default/curl')), /expired|untrusted|unable to get/i],
])('a client with %s is refused, and a log line says why', async (_, client, reason) => {
  const before = lab.log(log).length
  await knock(client())
  await eventually(() => expect(lab.log(log).slice(before)).toMatch(reason))
})

test("a client with another workload's certificate and its own key cannot even say hello", async () => {
  const { chainPem, privateKeyPem } = strangers.mismatched('default/curl')
  expect(() => connect({ ...target, cert: chainPem, key: privateKeyPem })).toThrow(/key values mismatch/i)
})
