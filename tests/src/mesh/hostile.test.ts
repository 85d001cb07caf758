import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { X509Svid } from '@ambient-lab/pki'
import { type AmbientLab, connectionLoad, EchoConnection, type Load, LoadWorld } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { frame, HostilePeer, numbers, type Place, TYPE } from './hostile-peer.ts'
import { forgedSvid, serverNameOf, stolenAuthority } from './mesh-insider.ts'
import { items, node } from './objects.ts'

/** What an agent may grow by while it is attacked: windows of one session, and what a garbage collector leaves for later. */
const GROWTH_BYTES_MAX = 128 * 1024 * 1024
/** Of a stream that nobody has read from. */
const STREAM_WINDOW_BYTES = 256 * 1024

let world: LoadWorld
let lab: AmbientLab
let place: Place
let svid: X509Svid
let connectEcho: Uint8Array
let pid: number
let load: Load
let standing: EchoConnection
let bytesBefore: number
const peers: HostilePeer[] = []

beforeAll(async () => {
  world = await LoadWorld.start({ name: 'hostile', nodes: ['n1', 'n2'], serves: 'tcp' })
  lab = world.lab
  const pods = await items(lab, 'pods', '-n', 'load')
  const { hbone, pid: agentPid } = (await node(lab, 'n2')).agent!
  const { podIP } = pods.find(({ metadata }) => metadata.name === 'echo')!.status!
  place = { ...hbone, serverName: serverNameOf(podIP, 'load') }
  svid = forgedSvid(stolenAuthority(lab), 'load')
  connectEcho = Buffer.from(JSON.stringify({ ':authority': `${podIP}:9000`, baggage: '', forwarded: '' }))
  pid = agentPid
  const target = await world.target()
  standing = await EchoConnection.open(target)
  load = connectionLoad(target, 2)
  await load.more(100)
  bytesBefore = residentBytes()
}, 60_000)

afterAll(async () => {
  for (const { socket } of peers) socket.destroy()
  await world[Symbol.asyncDispose]()
})

function residentBytes(): number {
  const [, pages] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')
  return Number(pages) * 4096
}

async function tunnel(): Promise<HostilePeer> {
  const peer = await HostilePeer.tunnel(place, svid)
  peers.push(peer)
  return peer
}

function secure(options = {}): HostilePeer {
  const peer = HostilePeer.connect(place, svid, options)
  peers.push(peer)
  return peer
}

describe('a peer of the mesh that breaks the rules is told why and hung up on', () => {
  test.each<[string, string, (peer: HostilePeer) => void]>([
    ['a frame of no known type', 'frame of type 77', (peer) => peer.say(77, 1, Buffer.from('x'))],
    ['a message that is no frame', 'message of 2 bytes', (peer) => peer.socket.write(Buffer.from([0x82, 0x82]))],
    ['a header of 20 KiB', 'CONNECT of 20480 bytes', (peer) => peer.say(TYPE.CONNECT, 1, Buffer.alloc(20_480, ' '))],
    ['a window beyond 2 GiB', 'the window of stream 0', (peer) => peer.say(TYPE.WINDOW, 0, numbers(0x7fff_ffff))],
    [
      'a stream id twice',
      'CONNECT on stream 1 after 1',
      (peer) => {
        for (let time = 0; time < 2; time += 1) peer.say(TYPE.CONNECT, 1, connectEcho)
      },
    ],
    ['bytes for a stream that never was', 'DATA on stream 9', (peer) => peer.say(TYPE.DATA, 9, Buffer.from('x'))],
  ])('%s', async (_, reason, act) => {
    const peer = await tunnel()
    act(peer)
    await peer.closed
    expect(peer.heard(reason)).toBe(true)
  })

  test.each([
    ['another protocol', { ALPNProtocols: ['h2'] }],
    ['TLS 1.2', { maxVersion: 'TLSv1.2' as const }],
  ])('%s is refused in the handshake', async (_, options) => {
    await secure(options).closed
  })
})

test('handshakes that never end keep nobody out', async () => {
  const silent = Array.from({ length: 300 }, () => connect(place).on('error', () => {}))
  const dribbling = Array.from({ length: 50 }, () => secure())
  for (const { socket } of dribbling) socket.write('GET /hbone HTTP/1.1\r\nHost: ')
  await load.more(100)
  for (const socket of [...silent, ...dribbling.map((peer) => peer.socket)]) socket.destroy()
})

test('a hundred thousand tiny frames are bytes like any others', async () => {
  const peer = await tunnel()
  peer.say(TYPE.CONNECT, 1, connectEcho)
  await peer.hear(':status')
  const one = frame(TYPE.DATA, 1, Buffer.from('\n'))
  for (let batch = 0; batch < 100; batch += 1) peer.socket.write(Buffer.concat(Array.from({ length: 1000 }, () => one)))
  await load.more(50)
  expect(peer.socket.closed).toBe(false)
})

test('one that asks and never reads is cut', async () => {
  const peer = await tunnel()
  peer.deafen()
  const pings = Buffer.concat(Array.from({ length: 10_000 }, () => frame(TYPE.PING, 0, Buffer.alloc(8))))
  const ask = () => {
    if (!peer.socket.closed && peer.socket.writable) peer.socket.write(pings, () => setImmediate(ask))
  }
  ask()
  await peer.closed
})

test('one that sends to a program and never reads its answers is waited for, within its windows', async () => {
  const peer = await tunnel()
  const streams = Array.from({ length: 50 }, (_, index) => 2 * index + 1)
  for (const stream of streams) peer.say(TYPE.CONNECT, stream, connectEcho)
  await load.more(50)
  peer.deafen()
  const line = Buffer.concat([Buffer.alloc(16_000, 'x'), Buffer.from('\n')])
  for (let sent = line.length; sent < STREAM_WINDOW_BYTES; sent += line.length) {
    for (const stream of streams) peer.say(TYPE.DATA, stream, line)
  }
  await load.more(50)
  expect(peer.socket.closed).toBe(false)
})

test('and all the while nobody else came to harm, and the agent hardly grew', async () => {
  await load.more(100)
  await load.stop()
  expect(load.failed).toEqual([])
  await standing.echo('still here')
  expect((await node(lab, 'n2')).agent!.pid).toBe(pid)
  expect(residentBytes() - bytesBefore).toBeLessThan(GROWTH_BYTES_MAX)
})
