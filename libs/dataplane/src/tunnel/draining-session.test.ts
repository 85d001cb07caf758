import type { SpiffeId } from '@ambient-lab/pki'
import { VirtualClock } from '@ambient-lab/std'
import { describe, expect, it } from 'vitest'
import type { ByteSink, ByteStream } from '../stream/byte-stream.ts'
import { memoryPair } from '../stream/memory-stream.ts'
import { atMicrotask } from '../stream/turn-end.ts'
import { MuxSession } from './mux-session.ts'

const ID: SpiffeId = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'a' }
const REQUEST = { authority: '10.244.1.2:80', baggage: '', forwarded: '', traceparent: '' }

describe('a draining session', () => {
  it('sends the end of its last stream before it hangs up', async () => {
    const clock = new VirtualClock()
    const { client, server } = sessions(clock)
    const accepted: ByteStream[] = []
    server.onConnect((incoming) => accepted.push(incoming.accept('')))
    const connecting = client.connect(REQUEST)
    await clock.advance(0)
    const near = new Listener((await connecting).stream)
    const far = new Listener(accepted[0]!)
    near.stream.end()
    server.drain()
    await clock.advance(0)
    far.stream.write(Buffer.from('last words'))
    far.stream.end()
    await clock.advance(0)
    expect(near.events).toEqual(['last words', 'end', 'close in order'])
    expect(far.events).toEqual(['end', 'close in order'])
  })
})

/** Writes down what a stream tells. */
class Listener implements ByteSink {
  readonly stream: ByteStream
  readonly events: string[] = []

  constructor(stream: ByteStream) {
    this.stream = stream
    stream.start(this)
  }

  onData(chunk: Uint8Array): void {
    this.events.push(Buffer.from(chunk).toString())
  }

  onEnd(): void {
    this.events.push('end')
  }

  onDrain(): void {}

  onClose(reason: Error | undefined): void {
    this.events.push(reason ? `close: ${reason.message}` : 'close in order')
  }
}

function sessions(clock: VirtualClock) {
  const [near, far] = memoryPair({ clock })
  const names = { local: ID, remote: ID, serverName: '', remoteAddress: '' }
  const client = new MuxSession({ carrier: near, clock, atTurnEnd: atMicrotask }, { role: 'client', ...names })
  const server = new MuxSession({ carrier: far, clock, atTurnEnd: atMicrotask }, { role: 'server', ...names })
  client.start()
  server.start()
  return { client, server }
}
