import { CodedError, VirtualClock } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import { Recorder, randomBytes, startWriting } from './byte-stream.conformance.ts'
import { Copy } from './copy.ts'
import { type MemoryStream, memoryPair } from './memory-stream.ts'

/** client ↔ [downstream · copy · upstream] ↔ server */
function open() {
  const clock = new VirtualClock()
  const [client, downstream] = memoryPair({ clock })
  const [upstream, server] = memoryPair({ clock })
  const copy = new Copy(downstream, upstream)
  let result: Awaited<Copy['result']> | undefined
  void copy.result.then((value) => {
    expect(result).toBeUndefined()
    result = value
  })
  return { clock, client, server, copy, result: () => result }
}

function start(stream: MemoryStream): Recorder {
  const sink = new Recorder()
  stream.start(sink)
  return sink
}

describe('Copy', () => {
  it('moves every byte both ways, counts them, and ends once without an error', async () => {
    const { clock, client, server, copy, result } = open()
    const [request, answer] = [randomBytes(3, 400_000), randomBytes(4, 900_000)]
    const [clientSink, serverSink] = [new Recorder(), new Recorder()]
    startWriting(client, clientSink, request)
    startWriting(server, serverSink, answer)
    await clock.advance(1)
    expect(serverSink.content.equals(request)).toBe(true)
    expect(clientSink.content.equals(answer)).toBe(true)
    expect(result()).toEqual({ bytesSent: 400_000, bytesReceived: 900_000 })
    expect([copy.bytesSent, copy.bytesReceived]).toEqual([400_000, 900_000])
  })

  it('passes a half-close on and lets the other direction go on', async () => {
    const { clock, client, server, result } = open()
    const [clientSink, serverSink] = [start(client), start(server)]
    client.end()
    await clock.advance(1)
    expect(serverSink.events).toEqual(['end'])
    server.write(Buffer.from('answer'))
    await clock.advance(1)
    expect(clientSink.content.toString()).toBe('answer')
    expect(result()).toBeUndefined()
    server.end()
    await clock.advance(1)
    expect(result()).toEqual({ bytesSent: 0, bytesReceived: 6 })
  })

  it('holds a writer back whose reader does not read, and nobody else', async () => {
    const { clock, client, server } = open()
    const [clientSink, serverSink] = [start(client), start(server)]
    server.pause()
    let isBlocked = false
    for (let index = 0; index < 100 && !isBlocked; index += 1) {
      isBlocked = !client.write(Buffer.alloc(16_384))
      await clock.advance(1)
      isBlocked &&= client.bufferedBytes > 0
    }
    expect(isBlocked).toBe(true)
    server.write(Buffer.from('meanwhile'))
    await clock.advance(1)
    expect(clientSink.content.toString()).toBe('meanwhile')
    server.resume()
    await clock.advance(1)
    expect(serverSink.bytes).toBeGreaterThan(0)
    expect(client.bufferedBytes).toBe(0)
  })

  const reset = new CodedError('STREAM_RESET', 'gone')
  const ENDS = [
    {
      what: 'a server that goes away',
      end: ({ server }: ReturnType<typeof open>) => server.reset(reset),
      code: 'UPSTREAM_DISCONNECTED',
      text: 'destination disconnected before all data was written',
    },
    {
      what: 'a client that goes away',
      end: ({ client }: ReturnType<typeof open>) => client.reset(reset),
      code: 'DOWNSTREAM_DISCONNECTED',
      text: 'client disconnected before all data was written',
    },
    {
      what: 'an abort',
      end: ({ copy }: ReturnType<typeof open>) =>
        copy.abort(new CodedError('POLICY_CHANGED', 'connection closed due to policy change')),
      code: 'POLICY_CHANGED',
      text: 'connection closed due to policy change',
    },
  ]
  it.each(ENDS)('tells $what from an orderly end, and cuts the other side', async ({ end, code, text }) => {
    const opened = open()
    const [clientSink, serverSink] = [start(opened.client), start(opened.server)]
    opened.client.write(Buffer.from('ab'))
    await opened.clock.advance(1)
    end(opened)
    await opened.clock.advance(1)
    expect(opened.result()).toMatchObject({ bytesSent: 2, error: { code, message: text } })
    expect([clientSink.isClosed, serverSink.isClosed]).toEqual([true, true])
  })

  it('calls a reset after everything was said no error', async () => {
    const opened = open()
    start(opened.client)
    start(opened.server)
    opened.server.write(Buffer.from('all of it'))
    opened.server.end()
    await opened.clock.advance(1)
    opened.client.reset(reset)
    await opened.clock.advance(1)
    expect(opened.result()).toEqual({ bytesSent: 0, bytesReceived: 9 })
  })

  it('keeps the first of two causes', async () => {
    const opened = open()
    start(opened.client)
    start(opened.server)
    opened.copy.abort(new CodedError('FIRST', 'first'))
    opened.copy.abort(new CodedError('SECOND', 'second'))
    opened.server.reset(reset)
    await opened.clock.advance(1)
    expect(opened.result()?.error?.code).toBe('FIRST')
  })
})
