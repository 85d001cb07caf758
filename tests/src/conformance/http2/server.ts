import { HeaderMap, Http2ServerSession, type Http2SessionInit, NodeNetwork } from '@ambient-lab/dataplane'
import { systemClock } from '@ambient-lab/std'

export interface Http2TestServer extends AsyncDisposable {
  readonly port: number
}

/** Our codec of HTTP/2 behind a port: it answers each request with 200 and `body`, when the request is complete. */
export async function startServer(body: string, init: Http2SessionInit): Promise<Http2TestServer> {
  const network = new NodeNetwork({ clock: systemClock })
  const listener = await network.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
    const session: Http2ServerSession = new Http2ServerSession(
      { stream, clock: systemClock },
      {
        ...init,
        handler: {
          onRequest: (request, _head, endStream) => {
            const answer = () => {
              const headers = new HeaderMap()
              session.respond(request, { status: 200, headers, framing: 'chunked', contentLength: 0 }, false)
              request.write(Buffer.from(body))
              request.end()
            }
            request.sink = { onData: () => {}, onEnd: answer, onDrain: () => {}, onFailure: () => {} }
            if (endStream) answer()
          },
          onClosed: () => {},
        },
      },
    )
    stream.start(session)
  })
  return { port: listener.address.port, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() }
}
