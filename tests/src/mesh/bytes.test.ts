import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { KiB, MiB } from '@ambient-lab/std'
import { AmbientLab } from '@ambient-lab/testing/mesh'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { items, node } from './objects.ts'

/** `AMBIENT_BYTES_MIB=1024` sends a GiB each way; the default keeps the suite short. */
const BYTES = Number(process.env.AMBIENT_BYTES_MIB ?? 128) * MiB
/** What two agents may grow while a reader is slow: windows and buffers of one stream, and what a collector leaves. */
const GROWTH_BYTES_MAX = 64 * MiB
const STREAMS = 1_000
const TIMEOUT_MS = 240_000

const MANIFEST = `
apiVersion: v1
kind: Namespace
metadata: { name: default, labels: { istio.io/dataplane-mode: ambient } }
---
apiVersion: v1
kind: Service
metadata: { name: echo }
spec: { selector: { app: echo }, ports: [{ name: tcp, port: 9000 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: echo, labels: { app: echo } }
spec: { nodeName: n2, containers: [{ name: echo, image: tcp-echo-server, args: ["9000"], ports: [{ containerPort: 9000 }] }] }
---
apiVersion: v1
kind: Pod
metadata: { name: caller, labels: { app: caller } }
spec: { nodeName: n1, containers: [{ name: curl, image: curlimages/curl }] }
`

let lab: AmbientLab
let capture: { host: string; port: number }
let agents: number[]

beforeAll(async () => {
  lab = new AmbientLab()
  await lab.ok('up', '--nodes', '2', '--wait')
  const { code, stderr } = await lab.run(['apply', '-f', '-'], { input: MANIFEST })
  expect(stderr + code).toBe('0')
  await lab.ok('wait', 'pods', '--all', '--for=condition=Ready', '--timeout', '30s')
  const caller = (await items(lab, 'pods', '-l', 'app=caller'))[0]!
  capture = (caller.status!.ambientLab as { capture: typeof capture }).capture
  agents = [(await node(lab, 'n1')).agent!.pid, (await node(lab, 'n2')).agent!.pid]
})

afterAll(() => lab[Symbol.asyncDispose]())

test(`${BYTES / MiB} MiB come back byte for byte, both ways at once`, { timeout: TIMEOUT_MS }, async () => {
  const socket = await dial()
  const returned = hashOf(socket)
  const sent = await send(socket, BYTES)
  socket.end()
  expect(await returned).toEqual(sent)
})

test(
  'a reader that does not read holds the writer back, costs little memory, and loses nothing',
  async () => {
    const before = residentBytes()
    const socket = await dial()
    socket.pause()
    const chunk = contentOf(MiB)
    const hash = createHash('sha256')
    let written = 0
    // Whoever is not held back would write for ever: 512 MiB are more than all buffers between.
    for (let isHeld = false; !isHeld && written < 512 * MiB; ) {
      hash.update(chunk)
      written += chunk.length
      if (!socket.write(chunk)) isHeld = !(await drains(socket))
    }
    expect(written).toBeLessThan(512 * MiB)
    expect(residentBytes() - before).toBeLessThan(GROWTH_BYTES_MAX)
    const returned = hashOf(socket)
    socket.end()
    expect(await returned).toEqual({ bytes: written, sha256: hash.digest('hex') })
  },
  TIMEOUT_MS,
)

test('the end of one direction is not the end of the other', async () => {
  const socket = await dial()
  const returned = hashOf(socket)
  socket.end('the last word')
  expect(await returned).toEqual({
    bytes: 13,
    sha256: createHash('sha256').update('the last word').digest('hex'),
  })
})

test(
  `${STREAMS} streams between two pods all come through beside one that takes what it gets`,
  async () => {
    const greedy = await dial()
    greedy.on('error', () => {}).resume()
    const flood = contentOf(256 * KiB)
    const more = () => {
      while (!greedy.destroyed && greedy.write(flood)) {}
    }
    greedy.on('drain', more)
    more()
    const streams = await Promise.all(Array.from({ length: STREAMS }, dial))
    const results = await Promise.all(
      streams.map(async (socket) => {
        const returned = hashOf(socket)
        const sent = await send(socket, 64 * KiB)
        socket.end()
        return { sent, returned: await returned }
      }),
    )
    greedy.destroy()
    for (const { sent, returned } of results) expect(returned).toEqual(sent)
  },
  TIMEOUT_MS,
)

/** A connection of the caller's pod to the echo, through SOCKS5. */
async function dial(): Promise<Socket> {
  const socket = connect({ ...capture, allowHalfOpen: true, noDelay: true })
  await once(socket, 'connect')
  const name = Buffer.from('echo.default.svc.cluster.local')
  socket.write(
    Buffer.concat([Buffer.from([5, 1, 0, 5, 1, 0, 3, name.length]), name, Buffer.from([9000 >> 8, 9000 & 255])]),
  )
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const onReadable = () => {
    const answer: Buffer | null = socket.read(12)
    if (answer) resolve(answer)
  }
  socket.on('readable', onReadable)
  socket.once('close', () => reject(new Error('the agent hung up')))
  const answer = await promise
  socket.off('readable', onReadable)
  expect([...answer.subarray(0, 4)]).toEqual([5, 0, 5, 0])
  return socket
}

interface Digest {
  readonly bytes: number
  readonly sha256: string
}

async function send(socket: Socket, bytes: number): Promise<Digest> {
  const hash = createHash('sha256')
  const content = contentOf(Math.min(bytes, MiB))
  for (let at = 0; at < bytes; at += content.length) {
    const chunk = content.subarray(0, Math.min(content.length, bytes - at))
    hash.update(chunk)
    if (!socket.write(chunk)) await once(socket, 'drain')
  }
  return { bytes, sha256: hash.digest('hex') }
}

/** Of everything that comes until the peer has said its last. */
async function hashOf(socket: Socket): Promise<Digest> {
  const hash = createHash('sha256')
  let bytes = 0
  socket.on('data', (chunk: Buffer) => {
    hash.update(chunk)
    bytes += chunk.length
  })
  socket.resume()
  await once(socket, 'end')
  return { bytes, sha256: hash.digest('hex') }
}

/** No two pieces alike, so that bytes in the wrong place are seen. */
function contentOf(bytes: number): Buffer {
  const content = Buffer.allocUnsafe(bytes)
  let state = 1
  for (let at = 0; at + 4 <= bytes; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    content.writeInt32LE(state, at)
  }
  return content
}

/** Whether the socket goes on within a time in which it would, were anybody reading. */
async function drains(socket: Socket): Promise<boolean> {
  const deadline = AbortSignal.timeout(2_000)
  return once(socket, 'drain', { signal: deadline }).then(
    () => true,
    () => false,
  )
}

/** Of both agents. */
function residentBytes(): number {
  return agents.reduce((sum, pid) => sum + 4096 * Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]), 0)
}
