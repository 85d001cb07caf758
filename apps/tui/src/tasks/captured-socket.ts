import { connect, type Socket } from 'node:net'

export interface SocketPlace {
  readonly host: string
  readonly port: number
}

/** What became of a dial: a socket, or the reply of RFC 1928 §6; undefined where no whole reply came. */
export type CapturedDial = { readonly socket: Socket } | { readonly reply: number | undefined }

const DIAL_LIMIT_MS = 3_000

/**
 * Dials as a program of the workload would: through its capture listener, which resolves names. It answers when the
 * destination's ztunnel has connected to the application, or refused to; the socket comes paused.
 */
export function dialCaptured(capture: SocketPlace, destination: SocketPlace): Promise<CapturedDial> {
  return new Promise((resolve) => {
    const socket = connect(capture)
    let received = Buffer.alloc(0)
    const settle = (dial: CapturedDial) => {
      socket.off('data', onData).off('error', fail).off('close', fail)
      socket.setTimeout(0)
      if ('socket' in dial) socket.pause()
      else socket.destroy()
      socket.on('error', () => {}) // whoever takes it sees 'close'
      resolve(dial)
    }
    const fail = () => settle({ reply: undefined })
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const answer = readAnswer(received)
      if (!answer) return
      if (answer.reply !== 0) return settle({ reply: answer.reply })
      const rest = received.subarray(answer.length)
      settle({ socket })
      if (rest.length > 0) socket.unshift(rest)
    }
    socket.setTimeout(DIAL_LIMIT_MS, fail)
    socket.on('data', onData).on('error', fail).on('close', fail)
    // Version 5, one method: no authentication; then CONNECT by name, and a literal address is a name as well.
    const name = Buffer.from(destination.host)
    const target = [5, 1, 0, 3, name.length, ...name, destination.port >> 8, destination.port & 0xff]
    socket.write(Buffer.from([5, 1, 0, ...target]))
  })
}

/** Method choice (2 bytes), then the reply: 4 bytes, an address, a port. */
function readAnswer(bytes: Buffer): { readonly reply: number; readonly length: number } | undefined {
  if (bytes.length < 4) return undefined
  const reply = bytes[3]!
  if (reply !== 0) return { reply, length: bytes.length }
  if (bytes.length < 7) return undefined
  const type = bytes[5]
  const addressLength = type === 1 ? 4 : type === 4 ? 16 : 1 + bytes[6]!
  const length = 2 + 4 + addressLength + 2
  return bytes.length < length ? undefined : { reply, length }
}
