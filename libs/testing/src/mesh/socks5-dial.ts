import { connect, type Socket } from 'node:net'

/** Reply codes of RFC 1928 §6. */
const REPLIES = [
  ...['succeeded', 'general failure', 'not allowed', 'network unreachable', 'host unreachable'],
  ...['connection refused', 'TTL expired', 'command not supported', 'address type not supported'],
]

/**
 * A connection as a program gets one that has the workload's capture as its SOCKS5 proxy; names are the mesh's to
 * resolve. Bytes that came behind the proxy's answer are in the socket.
 * @throws Error with the reply's words, or what the socket failed with
 */
export function socks5Dial(
  capture: { readonly host: string; readonly port: number },
  target: { readonly host: string; readonly port: number },
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...capture, allowHalfOpen: true })
    let received = Buffer.alloc(0)
    const fail = (error: Error) => {
      socket.destroy()
      reject(error)
    }
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const step = readAnswer(received)
      if (step === undefined) return
      if (step.reply !== 0) return fail(new Error(`SOCKS5: ${REPLIES[step.reply] ?? `reply ${step.reply}`}`))
      socket.off('data', onData).off('error', fail).off('close', onClose)
      socket.pause()
      // Whoever takes it sees 'close'; a reset before they listen must not end the process.
      socket.on('error', () => {})
      const rest = received.subarray(step.length)
      if (rest.length > 0) socket.unshift(rest)
      resolve(socket)
    }
    const onClose = () => fail(new Error('SOCKS5: the proxy closed the connection'))
    socket.on('data', onData).on('error', fail).on('close', onClose)
    socket.write(Buffer.concat([Buffer.from([5, 1, 0]), requestFor(target)]))
  })
}

/** CONNECT by name; a literal address is a name as well, to a proxy that resolves. */
function requestFor({ host, port }: { readonly host: string; readonly port: number }): Buffer {
  const name = Buffer.from(host)
  return Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, Buffer.from([port >> 8, port & 0xff])])
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
