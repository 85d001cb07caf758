import { createServer, Socket } from 'node:net'
import { SeededRandom, systemClock, VirtualClock } from '@ambient-lab/std'
import { eventually } from '@ambient-lab/testing'
import { describe, expect, it, vi } from 'vitest'
import { Borrower, describeByteStream, Recorder, type StreamPair, turns } from './byte-stream.conformance.ts'
import { memoryPair } from './memory-stream.ts'
import { dialSocket, NodeStream, type NodeStreamInit } from './node-stream.ts'

describeByteStream('NodeStream', () => openSocketPair({}))
describeByteStream('NodeStream whose writer gathers by itself', () => openSocketPair({ gather: false }))
describeByteStream('NodeStream over a Writable', () => openSocketPair({ direct: false }))
describeByteStream('NodeStream over a Writable whose writer gathers by itself', () =>
  openSocketPair({ gather: false, direct: false }),
)
describeByteStream('MemoryStream', async () => openMemoryPair())
describeByteStream('MemoryStream that cuts and delays', async () => openMemoryPair(new SeededRandom(7)))

describe('dialSocket', () => {
  it('gives a refusal and a timeout codes of their own', async () => {
    await expect(dialSocket({ host: '127.0.0.1', port: 1 })).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      retry: 'yes',
    })
    const clock = new VirtualClock()
    // TEST-NET-1 (RFC 5737) answers nobody; where there is no route at all, the refusal comes first.
    const dialing = dialSocket({ host: '192.0.2.1', port: 80 }, { clock, timeoutMs: 1000 })
    const failure = expect(dialing).rejects.toMatchObject({ code: expect.stringMatching(/^CONNECT_(TIMEOUT|FAILED)$/) })
    await clock.advance(1000)
    await failure
  })

  it.each([
    [undefined, [true, 180_000]],
    [{}, [true, 7_200_000, 75_000, 9]],
    [{ probes: 3, timeSeconds: 60, intervalSeconds: 10 }, [true, 60_000, 10_000, 3]],
  ])('keeps connections alive as %j says', async (keepalive, expected) => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const asked = vi.spyOn(Socket.prototype, 'setKeepAlive')
    const socket = await dialSocket({ host: '127.0.0.1', port }, { keepalive })
    expect(asked.mock.calls).toEqual([expected])
    asked.mockRestore()
    socket.destroy()
    server.close()
  })

  it('throws the reason of an aborted signal', async () => {
    const reason = new Error('changed my mind')
    await expect(dialSocket({ host: '127.0.0.1', port: 1 }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})

describe('NodeStream', () => {
  it('reads without an allocation on this version of Node', async () => {
    const { near, far, dispose } = await openSocketPair()
    const lent = new Set<ArrayBufferLike>()
    const sink = Object.assign(new Recorder(), {
      onBorrowed: (chunk: Uint8Array) => {
        lent.add(chunk.buffer)
        sink.bytes += chunk.length
      },
    })
    near.start(new Recorder())
    far.start(sink)
    for (let turn = 0; turn < 20; turn += 1) {
      near.write(Buffer.alloc(100_000))
      await turns(2)
    }
    await eventually(() => sink.bytes === 2_000_000)
    expect(lent.size).toBe(1)
    dispose()
  })

  it.each([
    { direct: true, calls: 0 },
    { direct: false, calls: 1 },
  ])('writes to the handle on this version of Node unless told not to (direct: $direct)', async ({ direct, calls }) => {
    const { near, far, socket, dispose } = await openSocketPair({ direct })
    const sink = new Recorder()
    const write = vi.spyOn(socket, 'write')
    near.start(sink)
    far.start(new Recorder())
    far.write(Buffer.from('by which way?'))
    await eventually(() => sink.content.toString() === 'by which way?')
    expect(write).toHaveBeenCalledTimes(calls)
    dispose()
  })

  it.each([true, false])('tells of a peer that went away while bytes are on their way (direct: %s)', async (direct) => {
    const { near, far, socket, dispose } = await openSocketPair({ direct })
    const [nearSink, farSink] = [new Recorder(), new Recorder()]
    near.start(nearSink)
    far.start(farSink)
    far.pause()
    while (near.write(Buffer.alloc(100_000))) await turns(1)
    socket.resetAndDestroy()
    await eventually(() => nearSink.isClosed)
    expect(nearSink.reason).toMatchObject({ code: 'STREAM_RESET' })
    expect(nearSink.events).toEqual(['close'])
    dispose()
  })

  it.each([true, false])('tells of a write that the system refuses (direct: %s)', async (direct) => {
    const { near, far, socket, dispose } = await openSocketPair({ direct })
    const sink = new Recorder()
    near.start(sink)
    near.pause()
    far.start(new Recorder())
    socket.resetAndDestroy()
    await eventually(() => {
      near.write(Buffer.from('to nobody'))
      return sink.isClosed
    })
    expect(sink.reason).toMatchObject({ code: 'STREAM_RESET' })
    dispose()
  })

  it('sends what a turn writes in one piece', async () => {
    const { near, far, dispose } = await openSocketPair()
    const sink = new Recorder()
    const lengths: number[] = []
    sink.onBytes = (chunk) => lengths.push(chunk.length)
    near.start(new Recorder())
    far.start(sink)
    near.writeText!('head ')
    near.writeText!('of the message, ')
    near.write(Buffer.from('body'))
    await eventually(() => sink.content.toString() === 'head of the message, body')
    expect(lengths).toEqual([25])
    dispose()
  })

  it('delivers first what came before anybody started it', async () => {
    const { near, far, socket, dispose } = await openSocketPair()
    const sink = new Borrower()
    near.start(new Recorder())
    near.write(Buffer.from('before, '))
    socket.resume().pause()
    socket.read(0)
    await eventually(() => socket.readableLength > 0)
    far.start(sink)
    expect(sink.bytes).toBe(0)
    near.write(Buffer.from('after'))
    await eventually(() => sink.content.toString() === 'before, after')
    dispose()
  })
})

describe('MemoryStream', () => {
  it('delivers after its latency, not before', async () => {
    const clock = new VirtualClock()
    const [near, far] = memoryPair({ clock, latencyMs: 50 })
    const sink = new Recorder()
    near.start(new Recorder())
    far.start(sink)
    near.write(Buffer.from('hello'))
    await clock.advance(49)
    expect(sink.bytes).toBe(0)
    await clock.advance(1)
    expect(sink.content.toString()).toBe('hello')
  })
})

async function openSocketPair(
  init: NodeStreamInit = {},
): Promise<StreamPair & { readonly socket: Socket; dispose(): void }> {
  const accepted = Promise.withResolvers<Socket>()
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, accepted.resolve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const near = new NodeStream(await dialSocket({ host: '127.0.0.1', port }), init)
  const socket = await accepted.promise
  const far = new NodeStream(socket, init)
  return {
    near,
    far,
    socket,
    dispose() {
      socket.destroy()
      server.close()
    },
  }
}

function openMemoryPair(random?: SeededRandom): StreamPair {
  const slicing = random && { slicing: { random, bytesMax: 5000 }, latencyMs: 1 }
  const [near, far] = memoryPair({ clock: systemClock, ...slicing })
  return { near, far, dispose() {} }
}
