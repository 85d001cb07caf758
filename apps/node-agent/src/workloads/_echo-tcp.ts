import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { EchoContext } from './echo.ts'

const WELCOME = 'Gateway API Test TCP Server\n'

/** Greets, then answers lines: TEST with who and how, IS_TLS, PING; of others it takes no notice. */
export function tcpEcho(context: EchoContext): (socket: Socket) => void {
  return (socket) => {
    const { encrypted: isTLS = false, servername, getProtocol } = socket as Partial<TLSSocket>
    const tls = { version: getProtocol?.call(socket as TLSSocket) ?? '', serverName: servername || '' }
    const answers: Readonly<Record<string, string>> = {
      TEST: JSON.stringify({ ...context, isTLS, ...(isTLS && { tls }) }),
      IS_TLS: String(isTLS),
      PING: 'PONG',
    }
    socket.write(WELCOME)
    // An agent without such a connection has no need of it.
    void import('node:readline').then(({ createInterface }) => {
      const lines = createInterface({ input: socket })
      lines.on('line', (line) => {
        const answer = Object.hasOwn(answers, line) ? answers[line] : undefined
        if (answer !== undefined) socket.write(`${answer}\n`)
      })
      lines.on('close', () => socket.end())
    })
  }
}
