import { VirtualClock } from '@ambient-lab/std'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryPlainNetwork } from '../memory-plain-network.ts'
import { MemoryNetwork, MemoryTransport } from '../tunnel/memory-transport.ts'
import { DROPPED_BODY_BYTES_MAX, REQUEST_HEADERS_TIMEOUT_MS } from './limits.ts'
import { MeshWithWaypoint } from './mesh-with-waypoint.conformance.ts'

/** Backends that answer the head of a request, whatever comes of its body. */
describe('an answer that comes before the end of its request', () => {
  let clock: VirtualClock
  let mesh: MeshWithWaypoint
  let requests: number
  beforeEach(async () => {
    clock = new VirtualClock()
    requests = 0
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
    for (const server of mesh.servers) {
      server.handler = () => 'silence'
      server.onHead = ({ stream }) => {
        requests += 1
        stream.write(Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly'))
      }
    }
  })
  afterEach(() => mesh.stop())

  const post = (bytes: number) => `POST / HTTP/1.1\r\nhost: web\r\ncontent-length: ${bytes}\r\n\r\n`
  const answers = (text: string) => text.match(/HTTP\/1\.1 \d+/g)

  it('leaves the connection to the next request when the rest is short', async () => {
    const program = await mesh.dial()
    program.say(`${post(10)}half`)
    await mesh.ground.until(() => program.text.endsWith('early'))
    program.say(`of it${'\n'}${post(0)}`)
    await mesh.ground.until(() => requests === 2 && answers(program.text)?.length === 2)
    expect(answers(program.text)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200'])
    expect(program.ended).toBe(false)
  })

  it.each([
    ['it is long', post(DROPPED_BODY_BYTES_MAX + 5), 'half'],
    [
      'nobody knows how much it is',
      'POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n',
      '4\r\nhalf\r\n',
    ],
  ])('ends the connection where the rest is not read, because %s', async (_why, head, body) => {
    const program = await mesh.dial()
    program.say(head + body)
    await mesh.ground.until(() => program.ended)
    expect(program.text.endsWith('early')).toBe(true)
  })

  it('does not wait for ever for the rest, and answers nothing twice', async () => {
    const program = await mesh.dial()
    program.say(`${post(10)}half`)
    await mesh.ground.until(() => program.text.endsWith('early'))
    await clock.advance(REQUEST_HEADERS_TIMEOUT_MS + 100)
    expect(program.ended).toBe(true)
    expect(answers(program.text)).toEqual(['HTTP/1.1 200'])
  })
})
