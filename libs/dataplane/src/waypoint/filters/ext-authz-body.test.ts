import { VirtualClock } from '@ambient-lab/std'
import type { ExtAuthz } from '@ambient-lab/xds'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { MemoryPlainNetwork } from '../../memory-plain-network.ts'
import { MemoryNetwork, MemoryTransport } from '../../tunnel/memory-transport.ts'
import { clusterOfPod, forwardRoute, MeshWithWaypoint } from '../mesh-with-waypoint.conformance.ts'
import { ASK_ALWAYS, AUTHZ } from './ext-authz.conformance.ts'

const post = (body: string, headers: readonly string[] = []) =>
  ['POST /x HTTP/1.1', 'host: web', `content-length: ${body.length}`, ...headers, '', body].join('\r\n')
const CHUNKED = 'POST /x HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n'

describe('an authorizer that is shown the body', () => {
  let mesh: MeshWithWaypoint
  beforeEach(async () => {
    const clock = new VirtualClock()
    const network = new MemoryNetwork()
    mesh = new MeshWithWaypoint({
      clock,
      network: new MemoryPlainNetwork({ clock }),
      transport: (svids) => new MemoryTransport({ network, clock, svids }),
      until: async (condition) => {
        expect(await clock.advanceUntil(condition, 30_000)).toBe(true)
      },
    })
    await mesh.start()
    mesh.cluster(clusterOfPod('web', 0))
    mesh.cluster(clusterOfPod('authz', 1))
    mesh.servers[0].handler = (received) => ({ body: received.body.toString() })
    mesh.servers[1].handler = () => ({})
  })
  afterEach(() => mesh.stop())

  function show(maxBytes: number, allowPartial: boolean, overrides: Partial<ExtAuthz> = {}): void {
    const requestBody = { maxBytes, allowPartial, packAsBytes: false }
    mesh.routes([forwardRoute()], { authorization: [ASK_ALWAYS], extAuthz: [{ ...AUTHZ, requestBody, ...overrides }] })
  }
  const asked = () =>
    mesh.servers[1].requests.map(({ head, body }) => [body.toString(), head.headers.get('x-envoy-auth-partial-body')])

  const LONG = 'x'.repeat(200_000)
  test.each([
    { title: 'one that fits', request: post('hello'), max: 5, shown: 'hello', isPartial: 'false', arrives: 'hello' },
    { title: 'chunks', request: CHUNKED, max: 100, shown: 'hello', isPartial: 'false', arrives: 'hello' },
    { title: 'a part', request: post('hello'), max: 2, shown: 'he', isPartial: 'true', arrives: 'hello' },
    {
      title: 'a part of a long one',
      request: post(LONG),
      max: 9,
      shown: 'xxxxxxxxx',
      isPartial: 'true',
      arrives: LONG,
    },
  ])('sees $title; the backend gets the whole of it', async ({ request, max, shown, isPartial, arrives }) => {
    show(max, true)
    expect(await mesh.exchange(await mesh.dial(), request)).toMatchObject({ status: 200, body: arrives })
    expect(asked()).toEqual([[shown, isPartial]])
    expect(mesh.servers[1].requests[0]!.head).toMatchObject({ method: 'POST', path: '/check/x' })
  })

  it('sees a part of chunks; the rest is behind it also where the backend is connected already', async () => {
    show(2, true)
    const program = await mesh.dial()
    for (let time = 0; time < 2; time += 1) {
      program.received = new Uint8Array()
      expect(await mesh.exchange(program, CHUNKED)).toMatchObject({ status: 200, body: 'hello' })
    }
  })

  it('is not asked about a body that is longer than it takes', async () => {
    show(4, false)
    const refused = await mesh.exchange(await mesh.dial(), post('hello'))
    expect(refused).toMatchObject({ status: 413, body: 'Payload Too Large' })
    expect(asked()).toEqual([])
    expect(mesh.lines).toEqual(['413 - request_payload_too_large'])
  })

  it('is asked without a body where there is none', async () => {
    show(100, false)
    expect(await mesh.get()).toMatchObject({ status: 200 })
    expect(asked()).toEqual([['', undefined]])
  })

  it('makes a client that waits for a word send its body, and says it once', async () => {
    show(100, false)
    const program = await mesh.dial()
    program.say('POST /x HTTP/1.1\r\nhost: web\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n')
    await mesh.ground.until(() => program.text.includes('100 Continue'))
    program.say('hello')
    await mesh.ground.until(() => program.text.endsWith('hello'))
    expect(program.text.match(/100 Continue/g)).toHaveLength(1)
    expect(asked()).toEqual([['hello', 'false']])
  })

  it('that says no keeps the body from the backend', async () => {
    show(100, false)
    mesh.servers[1].handler = () => ({ status: 401 })
    expect(await mesh.exchange(await mesh.dial(), post('hello'))).toMatchObject({ status: 401 })
    expect(mesh.servers[0].requests).toEqual([])
  })

  it('that is silent and may be passed lets the body through', async () => {
    show(100, false, { failOpen: true })
    mesh.servers[1].handler = () => 'silence'
    expect(await mesh.exchange(await mesh.dial(), post('hello'))).toMatchObject({ status: 200, body: 'hello' })
  })

  it('sees the next request on the connection as a whole, too', async () => {
    show(100, false)
    const program = await mesh.dial()
    for (const body of ['one', 'two', 'three'])
      expect(await mesh.exchange(program, post(body))).toMatchObject({ status: 200, body })
    expect(asked().map(([body]) => body)).toEqual(['one', 'two', 'three'])
  })
})
