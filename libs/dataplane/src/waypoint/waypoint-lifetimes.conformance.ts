import { expect } from 'vitest'
import type { Ground } from '../ztunnel/two-nodes.conformance.ts'
import { clusterOf, forwardRoute, waypointTest } from './mesh-with-waypoint.conformance.ts'

/** Of a waypoint: what ends, and when. */
export function describeLifetimes(makeGround: () => Ground): void {
  const it = waypointTest(makeGround)

  it('holds a backend back whose client does not read', async ({ mesh }) => {
    const piece = 'x'.repeat(64 * 1024)
    mesh.handle(() => ({ body: Array.from({ length: 64 }, () => piece) }))
    const program = await mesh.dial()
    program.stream.pause()
    program.say('GET / HTTP/1.1\r\nhost: web\r\n\r\n')
    await mesh.ground.until(() => mesh.requests.length === 1)
    program.stream.resume()
    await mesh.ground.until(() => mesh.lines.length === 1)
    await mesh.ground.until(() => program.received.length >= 64 * piece.length)
    expect(mesh.lines).toEqual(['200 - via_upstream'])
  })

  it('tells of a client that goes away, and drops what it asked', async ({ mesh }) => {
    mesh.handle(() => 'silence')
    const program = await mesh.dial()
    program.say('GET / HTTP/1.1\r\nhost: web\r\n\r\n')
    await mesh.ground.until(() => mesh.requests.length === 1)
    program.stream.reset(new Error('gone') as never)
    await mesh.ground.until(() => mesh.lines.length === 1)
    expect(mesh.lines).toEqual(['0 DC downstream_remote_disconnect'])
    await mesh.ground.until(() => mesh.requests[0]!.connection.closed)
  })

  it('answers a client that half-closed', async ({ mesh }) => {
    const program = await mesh.dial()
    program.say('GET / HTTP/1.1\r\nhost: web\r\n\r\n')
    program.stream.end()
    await mesh.ground.until(() => program.ended)
    expect(program.text).toContain('GET /')
  })

  it('swaps its configuration under load without losing a request', async ({ mesh }) => {
    const program = await mesh.dial()
    const tags: string[] = []
    for (let index = 0; index < 60; index += 1) {
      const value = `v${Math.floor(index / 10)}`
      if (index % 10 === 0) {
        mesh.routes([forwardRoute({ responseHeaders: { set: [{ name: 'x-version', value }] } })])
        mesh.cluster(clusterOf('web', { connectTimeoutMs: 1000 + index }))
      }
      const answer = await mesh.exchange(program, 'GET / HTTP/1.1\r\nhost: web\r\n\r\n')
      expect(answer.status).toBe(200)
      tags.push(answer.headers['x-version']!)
    }
    expect(tags).toEqual(Array.from({ length: 60 }, (_, index) => `v${Math.floor(index / 10)}`))
  })

  it('drains: answers what is in flight, and closes', async ({ mesh }) => {
    let waiting: (() => void) | undefined
    mesh.handle((received) => {
      waiting = () => received.connection.answer(received, { body: 'late' })
      return 'silence'
    })
    const program = await mesh.dial()
    const idle = await mesh.dial()
    program.say('GET / HTTP/1.1\r\nhost: web\r\n\r\n')
    await mesh.ground.until(() => waiting !== undefined)
    const drained = mesh.waypoint.drain()
    await mesh.ground.until(() => idle.ended)
    waiting!()
    await mesh.ground.until(() => program.ended)
    expect(program.text).toContain('late')
    expect(program.text).toContain('connection: close')
    let isDone = false
    void drained.then(() => {
      isDone = true
    })
    await mesh.ground.until(() => isDone)
    expect(mesh.lines).toEqual(['200 - via_upstream'])
  })

  it('serves what it has taken when its pod is gone for everybody else, and what it ran on with it', async ({
    mesh,
  }) => {
    const program = await mesh.dial()
    const request = 'GET / HTTP/1.1\r\nhost: web\r\n\r\n'
    mesh.loseWaypoint()
    expect(await mesh.exchange(program, request)).toMatchObject({ status: 200 })
    const drained = mesh.waypoint.drain()
    expect(await mesh.exchange(program, request)).toMatchObject({ status: 200, headers: { connection: 'close' } })
    await mesh.ground.until(() => program.ended)
    let isDone = false
    void drained.then(() => {
      isDone = true
    })
    await mesh.ground.until(() => isDone)
  })
}
